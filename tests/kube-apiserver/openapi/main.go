// Reads an OpenAPI v2 document in protobuf, and the same in JSON, as clients do: the protobuf must decode to the very
// message that gnostic makes of the JSON, and kubectl's and Argo CD's own reader must understand every definition.
//
//	go run ./openapi DOCUMENT.pb DOCUMENT.json
package main

import (
	"encoding/json"
	"fmt"
	"os"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	kubeopenapi "k8s.io/kube-openapi/pkg/util/proto"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: openapi DOCUMENT.pb DOCUMENT.json"))
	}
	binary, err := os.ReadFile(os.Args[1])
	fail(err)
	text, err := os.ReadFile(os.Args[2])
	fail(err)
	found := &openapi_v2.Document{}
	fail(proto.UnmarshalOptions{DiscardUnknown: false}.Unmarshal(binary, found))
	expected, err := openapi_v2.ParseDocument(text)
	fail(err)
	normalize(found.ProtoReflect())
	normalize(expected.ProtoReflect())
	if !proto.Equal(found, expected) {
		fail(fmt.Errorf("the protobuf is not what gnostic makes of the JSON: %s", difference(found, expected)))
	}
	models, err := kubeopenapi.NewOpenAPIData(found)
	fail(err)
	for _, name := range models.ListModels() {
		if models.LookupModel(name) == nil {
			fail(fmt.Errorf("%s is listed and not there", name))
		}
	}
	fmt.Printf("%d definitions, %d paths: the same in both\n", len(models.ListModels()), len(found.GetPaths().GetPath()))
}

// normalize writes what may be anything in one way: it is YAML, of which JSON is a part.
func normalize(message protoreflect.Message) {
	if anything, ok := message.Interface().(*openapi_v2.Any); ok {
		var value any
		fail(yaml.Unmarshal([]byte(anything.GetYaml()), &value))
		text, err := json.Marshal(value)
		fail(err)
		anything.Yaml = string(text)
		return
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				normalize(value.List().Get(i).Message())
			}
		case field.Message() != nil:
			normalize(value.Message())
		}
		return true
	})
}

// difference names the first definition or path that differs.
func difference(found, expected *openapi_v2.Document) string {
	ours := map[string]proto.Message{}
	for _, named := range found.GetDefinitions().GetAdditionalProperties() {
		ours[named.GetName()] = named.GetValue()
	}
	for _, named := range found.GetPaths().GetPath() {
		ours[named.GetName()] = named.GetValue()
	}
	for _, named := range expected.GetDefinitions().GetAdditionalProperties() {
		if !proto.Equal(ours[named.GetName()], named.GetValue()) {
			return fmt.Sprintf("%s\n%v\n%v", named.GetName(), ours[named.GetName()], named.GetValue())
		}
	}
	for _, named := range expected.GetPaths().GetPath() {
		if !proto.Equal(ours[named.GetName()], named.GetValue()) {
			return fmt.Sprintf("%s\n%v\n%v", named.GetName(), ours[named.GetName()], named.GetValue())
		}
	}
	return "outside of definitions and paths"
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
