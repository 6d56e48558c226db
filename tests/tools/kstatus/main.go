// Program kstatus says what kstatus thinks of each JSON object on its standard input: one line "STATUS MESSAGE" for each,
// in their order. The rules are cli-utils' own; Flux, Helm 4 and others wait by them.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func judge(in io.Reader, out io.Writer) error {
	objects := json.NewDecoder(in)
	for number := 0; ; number++ {
		// A raw message first: unstructured's own decoder keeps integers as integers, which generations are.
		var raw json.RawMessage
		if err := objects.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("object %d: %w", number, err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil {
			return fmt.Errorf("object %d: %w", number, err)
		}
		result, err := status.Compute(object)
		if err != nil {
			return fmt.Errorf("object %d: %w", number, err)
		}
		fmt.Fprintf(out, "%s %s\n", result.Status, strings.ReplaceAll(result.Message, "\n", " "))
	}
}

func main() {
	if err := judge(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}
