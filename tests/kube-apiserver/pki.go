package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki is everything secret that the server needs, made once per data directory so that clients survive a restart.
type pki struct {
	ca, adminCert, adminKey []byte
	serviceAccountKey       crypto.Signer
}

func loadOrMakePKI(dir string) (*pki, error) {
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		// Made beside and renamed, so that an interrupted first start does not leave half a set behind.
		tmp := dir + ".new"
		if err := os.RemoveAll(tmp); err != nil {
			return nil, err
		}
		if err := makePKI(tmp); err != nil {
			return nil, fmt.Errorf("cannot make certificates: %w", err)
		}
		if err := os.Rename(tmp, dir); err != nil {
			return nil, err
		}
	}
	p := &pki{}
	for name, target := range map[string]*[]byte{"ca.crt": &p.ca, "admin.crt": &p.adminCert, "admin.key": &p.adminKey} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		*target = content
	}
	content, err := os.ReadFile(filepath.Join(dir, "service-account.key"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM file: remove the data directory", filepath.Join(dir, "service-account.key"))
	}
	p.serviceAccountKey, err = x509.ParseECPrivateKey(block.Bytes)
	return p, err
}

func makePKI(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "kubernetes-for-tests"},
		IsCA:     true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caKey, err := issue(dir, "ca", ca, ca, nil)
	if err != nil {
		return err
	}
	if _, err := issue(dir, "server", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}, ca, caKey); err != nil {
		return err
	}
	if _, err := issue(dir, "admin", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(dir, "service-account", key)
}

// issue writes NAME.crt and NAME.key, signed by the issuer or, without an issuer's key, by itself.
func issue(dir, name string, template, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if issuerKey == nil {
		issuerKey = key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	// A clock that a test machine sets back must not make the server unusable.
	template.NotBefore = time.Now().Add(-48 * time.Hour)
	template.NotAfter = time.Now().AddDate(10, 0, 0)
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), out.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return key, writeKey(dir, name, key)
}

func writeKey(dir, name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
