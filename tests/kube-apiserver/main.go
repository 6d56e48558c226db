// A real Kubernetes API server for tests: etcd, kube-apiserver and the few controllers without which namespaces,
// service accounts and owner references do not behave, in one process that needs no root and no fixed port.
//
// The kubeconfig appears, atomically, once the server is ready for a test, so its existence is the readiness signal.
// One left by an earlier run is removed at the start. Stopped and started again with the same --data-dir and the same
// --port, the server keeps its certificates and its objects, and a kubeconfig read before stays valid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
)

const (
	readyWithin = 3 * time.Minute
	// How long each of etcd and the API server may take to end. A client's open watch keeps the API server from ending by
	// itself, so with one connected this is what a stop takes, and what it leaves undone etcd recovers from its log.
	stopWithin = 700 * time.Millisecond
)

type settings struct {
	dataDir, kubeconfig, assets string
	port                        int
	exitWithParent, verbose     bool
	apiserverArgs               []string
}

// The thread that starts a child process must live as long as this process does, or the kernel would take its end for
// the end of the parent and kill the child; only the main thread is sure to.
func init() { runtime.LockOSThread() }

func main() {
	var s settings
	flag.StringVar(&s.kubeconfig, "kubeconfig", "", "file to write the administrator's kubeconfig to once the server is ready (needed)")
	flag.StringVar(&s.dataDir, "data-dir", "", "directory for certificates, data and log; empty: a temporary one that is removed at the end")
	flag.IntVar(&s.port, "port", 0, "port on 127.0.0.1; 0: any free one")
	flag.StringVar(&s.assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"), "directory with the programs etcd and kube-apiserver to run instead of the ones compiled in; KUBEBUILDER_ASSETS, if set, is the default")
	flag.BoolVar(&s.exitWithParent, "exit-with-parent", false, "end when the process that started this one ends")
	flag.BoolVar(&s.verbose, "verbose", false, "log to stderr instead of the file kube-apiserver.log in the data directory")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: %s --kubeconfig FILE [flags] [-- flags for kube-apiserver]\n", filepath.Base(os.Args[0]))
		flag.PrintDefaults()
	}
	flag.Parse()
	s.apiserverArgs = flag.Args()

	stderr := os.Stderr
	temporary := ""
	fail := func(err error) {
		fmt.Fprintf(stderr, "kube-apiserver for tests: %v\n", err)
		os.Exit(1)
	}
	if s.kubeconfig == "" {
		fail(errors.New("--kubeconfig is needed: name the file to write"))
	}
	if s.dataDir == "" {
		dir, err := os.MkdirTemp("", "kube-apiserver-")
		if err != nil {
			fail(err)
		}
		s.dataDir, temporary = dir, dir
	}
	for _, path := range []*string{&s.kubeconfig, &s.dataDir, &s.assets} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			fail(err)
		}
		*path = absolute
	}
	if err := enter(s.dataDir); err != nil {
		fail(err)
	}
	if !s.verbose {
		var err error
		if stderr, err = quiet(); err != nil {
			fail(err)
		}
	}
	err := run(s)
	if temporary != "" {
		os.RemoveAll(temporary)
	}
	if err != nil {
		if !s.verbose && temporary == "" {
			err = fmt.Errorf("%w (log: %s)", err, filepath.Join(s.dataDir, logFile))
		}
		fail(err)
	}
}

const logFile = "kube-apiserver.log"

// enter makes the data directory the working directory, because the path of a unix socket may not exceed 107 bytes and
// the name of a data directory may, and holds it for this process alone.
func enter(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	lock, err := os.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another process uses the data directory %s: stop it or name another directory", dir)
	}
	// The lock lives as long as its file is open; without this the collector might close it.
	held = lock
	return nil
}

var held *os.File

// quiet sends what the libraries log to a file. The returned file is the original stderr, for sentences of our own and
// for a crash, which must not end in a log that nobody reads.
func quiet() (*os.File, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	original := os.NewFile(uintptr(fd), "stderr")
	if err := debug.SetCrashOutput(original, debug.CrashOptions{}); err != nil {
		return nil, err
	}
	return original, unix.Dup3(int(log.Fd()), 2, 0)
}

func run(s settings) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	failed := make(chan error, 8)
	if s.exitWithParent {
		if err := watchParent(signals); err != nil {
			return err
		}
	}
	if err := os.Remove(s.kubeconfig); err != nil && !os.IsNotExist(err) {
		return err
	}
	pki, err := loadOrMakePKI("pki")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	config := &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", s.port),
		TLSClientConfig: rest.TLSClientConfig{CAData: pki.ca, CertData: pki.adminCert, KeyData: pki.adminKey},
		// No limit on the client's side: the controllers of a test server should be as quick as they can.
		QPS: -1,
	}

	var stop func()
	if s.assets == "" {
		stop, err = startEmbedded(s, listener, failed)
	} else {
		// Another program cannot take the listener over, so its port is free for a moment.
		listener.Close()
		stop, err = startAssets(s, failed)
	}
	defer stop()
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- prepare(ctx, s, pki, config) }()
	deadline := time.After(readyWithin)
	for {
		select {
		case <-signals:
			return nil
		case err := <-failed:
			return err
		case err := <-ready:
			if err != nil {
				return err
			}
			deadline = nil
		case <-deadline:
			return fmt.Errorf("the API server was not ready within %s", readyWithin)
		}
	}
}

// prepare starts what needs a working API server, waits until a test can rely on it and says so with the kubeconfig.
func prepare(ctx context.Context, s settings, pki *pki, config *rest.Config) error {
	if err := untilHealthy(ctx, config); err != nil {
		return err
	}
	if err := startControllers(ctx, pki, config); err != nil {
		return fmt.Errorf("the controllers did not start: %w", err)
	}
	if err := untilUsable(ctx, config); err != nil {
		return err
	}
	return writeKubeconfig(s.kubeconfig, config)
}

// watchParent turns the end of the parent process into a signal to this one. The kernel's own parent-death signal is
// no use here: it comes when the thread that started us ends, and test runners start things from short-lived threads.
func watchParent(signals chan<- os.Signal) error {
	parent := os.Getppid()
	fd, err := unix.PidfdOpen(parent, 0)
	if err != nil {
		return fmt.Errorf("--exit-with-parent cannot watch process %d: %w", parent, err)
	}
	if os.Getppid() != parent {
		return errors.New("--exit-with-parent: the parent process has ended already")
	}
	go func() {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if n > 0 || (err != nil && err != unix.EINTR) {
				signals <- syscall.SIGTERM
				return
			}
		}
	}()
	return nil
}

// within waits for done, but no longer than a stop may take.
func within(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(stopWithin):
		return false
	}
}
