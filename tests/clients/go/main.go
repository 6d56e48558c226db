// Runs a shared informer of client-go, with its defaults (a WatchList where the server has it), over the ConfigMaps of a
// namespace. Usage: informer KUBECONFIG NAMESPACE. For each line on stdin it prints what the informer's store holds, a
// line "NAME RESOURCE_VERSION" for each object, sorted, and then the line "end".
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kubeconfig, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps(namespace)
	stop := make(chan struct{})
	defer close(stop)
	factory.Start(stop)
	out := bufio.NewWriter(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		held, err := lister.List(labels.Everything())
		if err != nil {
			return err
		}
		sort.Slice(held, func(i, j int) bool { return held[i].Name < held[j].Name })
		for _, one := range held {
			print(out, one)
		}
		fmt.Fprintln(out, "end")
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

func print(out *bufio.Writer, one *v1.ConfigMap) {
	fmt.Fprintln(out, one.Name, one.ResourceVersion)
}
