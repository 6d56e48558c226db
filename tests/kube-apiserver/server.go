package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
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

// startEmbedded runs etcd and the API server in this process. The returned function ends both, in that they depend on
// each other in this order; it is never nil.
func startEmbedded(s settings, listener net.Listener, failed chan<- error) (func(), error) {
	etcd, err := startEtcd()
	if err != nil {
		return func() {}, fmt.Errorf("etcd did not start: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	stop := func() {
		cancel()
		within(done)
		closed := make(chan struct{})
		go func() { etcd.Close(); close(closed) }()
		within(closed)
	}
	opts, err := apiserverOptions(ctx, s, listener)
	if err != nil {
		close(done)
		return stop, fmt.Errorf("kube-apiserver did not start: %w", err)
	}
	go func() {
		defer close(done)
		if err := app.Run(ctx, opts); ctx.Err() == nil {
			failed <- fmt.Errorf("kube-apiserver ended: %w", errors.Join(err, errors.New("unexpectedly")))
		}
	}()
	go func() {
		if err, ok := <-etcd.Err(); ok && ctx.Err() == nil {
			failed <- fmt.Errorf("etcd ended: %w", err)
		}
	}()
	return stop, nil
}

func startEtcd() (*embed.Etcd, error) {
	cfg := embed.NewConfig()
	cfg.Dir = "etcd"
	cfg.LogLevel = "warn"
	clients, peers := mustParse(etcdClients), mustParse(etcdPeers)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// The data need not survive a crash of the machine, and without a sync each write costs microseconds.
	cfg.UnsafeNoFsync = true
	// The only member need not give others time to be heard before it leads.
	cfg.TickMs, cfg.ElectionMs = 20, 200
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	<-etcd.Server.ReadyNotify()
	return etcd, nil
}

func mustParse(raw string) url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return *u
}

// apiserverOptions does what the command line of kube-apiserver does with its flags, but hands it our listener, so that
// no other process can take the port between choosing and using it.
func apiserverOptions(ctx context.Context, s settings, listener net.Listener) (options.CompletedOptions, error) {
	var none options.CompletedOptions
	o := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range o.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(apiserverFlags(s)); err != nil {
		return none, err
	}
	if flags.NArg() > 0 {
		return none, fmt.Errorf("kube-apiserver has no argument %q: only flags may follow --", flags.Arg(0))
	}
	o.SecureServing.Listener = listener
	registry := o.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return none, err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := o.Complete(ctx)
	if err != nil {
		return none, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return none, utilerrors.NewAggregate(errs)
	}
	registry.FeatureGateFor(compatibility.DefaultKubeComponent).(featuregate.MutableFeatureGate).AddMetrics()
	registry.AddMetrics()
	return completed, nil
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
