//go:build !assets

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// startEmbedded runs etcd and the API server in this process. The returned function, never nil, ends the API server
// first, because it depends on etcd.
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
			failed <- fmt.Errorf("kube-apiserver ended: %v", err)
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
