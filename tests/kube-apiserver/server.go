package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// etcd is reached over sockets in the data directory: no port to collide with, and closed to other users.
const (
	etcdClients = "unix://etcd.sock"
	etcdPeers   = "unix://etcd-peer.sock"
)

func apiserverFlags(s settings) []string {
	return append([]string{
		"--etcd-servers=" + etcdClients,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.port),
		"--tls-cert-file=pki/server.crt",
		"--tls-private-key-file=pki/server.key",
		"--client-ca-file=pki/ca.crt",
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=pki/service-account.key",
		"--service-account-key-file=pki/service-account.key",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=true",
		"--profiling=false",
		// Without these the server looks for an address of the machine to publish as the endpoint of the service
		// "kubernetes": a machine without a default route has none, and a loopback one is refused.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
	}, s.apiserverArgs...)
}

// startAssets runs the two programs of another release as children, with the same flags.
func startAssets(s settings, failed chan<- error) (func(), error) {
	stopping := make(chan struct{})
	var ends []func()
	stop := func() {
		close(stopping)
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
	}
	start := func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(s.assets, name), args...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("%s did not start: %w", name, err)
		}
		done := make(chan struct{})
		go func() {
			err := cmd.Wait()
			close(done)
			select {
			case <-stopping:
			default:
				failed <- fmt.Errorf("%s ended: %v", name, err)
			}
		}()
		ends = append(ends, func() {
			cmd.Process.Signal(syscall.SIGTERM)
			if !within(done) {
				cmd.Process.Kill()
				<-done
			}
		})
		return nil
	}
	if err := start("etcd", "--data-dir=etcd", "--log-level=warn", "--unsafe-no-fsync",
		"--listen-client-urls="+etcdClients, "--advertise-client-urls="+etcdClients,
		"--listen-peer-urls="+etcdPeers, "--initial-advertise-peer-urls="+etcdPeers, "--initial-cluster=default="+etcdPeers); err != nil {
		return stop, err
	}
	return stop, start("kube-apiserver", apiserverFlags(s)...)
}
