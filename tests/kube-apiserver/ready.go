package main

import (
	"context"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// poll asks until the answer is yes or the caller gives up; the caller bounds the whole start.
func poll(ctx context.Context, ask func(context.Context) bool) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		return ask(ctx), nil
	})
}

func untilHealthy(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return poll(ctx, func(ctx context.Context) bool {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	})
}

// untilUsable waits for what the server and the controllers make soon after the start and every cluster has.
func untilUsable(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	core := client.CoreV1()
	for _, exists := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := core.Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
			return err
		},
		func(ctx context.Context) error {
			_, err := core.ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
			return err
		},
		func(ctx context.Context) error {
			_, err := core.ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
			return err
		},
	} {
		if err := poll(ctx, func(ctx context.Context) bool { return exists(ctx) == nil }); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(path string, config *rest.Config) error {
	const name = "tests"
	content, err := clientcmd.Write(api.Config{
		Clusters:       map[string]*api.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*api.AuthInfo{name: {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name, Namespace: "default"}},
		CurrentContext: name,
	})
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
