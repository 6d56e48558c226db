// Prints what is to know about the built-in kinds that the embedded API server serves, as one JSON document: for every
// definition its groups, versions and kinds, and for every field its protobuf number, type, when Go's encoder leaves it
// out, default, and x-kubernetes extensions. All of it are facts of the published Kubernetes modules, taken by reflection
// and from their generated OpenAPI definitions; descriptions are left out on purpose.
//
// tests/scripts/builtin-facts writes the output to where the server reads it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kubernetes/pkg/generated/openapi"
)

// What is published; everything they contain comes along.
var roots = []any{
	corev1.ConfigMap{}, corev1.ConfigMapList{}, corev1.Event{}, corev1.EventList{}, corev1.Namespace{},
	corev1.NamespaceList{}, corev1.Secret{}, corev1.SecretList{}, corev1.ServiceAccount{}, corev1.ServiceAccountList{},
	appsv1.ControllerRevision{}, appsv1.ControllerRevisionList{},
	eventsv1.Event{}, eventsv1.EventList{}, coordinationv1.Lease{}, coordinationv1.LeaseList{}, autoscalingv1.Scale{},
	authenticationv1.SelfSubjectReview{}, authorizationv1.LocalSubjectAccessReview{},
	authorizationv1.SelfSubjectAccessReview{}, authorizationv1.SelfSubjectRulesReview{},
	authorizationv1.SubjectAccessReview{}, apiextensionsv1.CustomResourceDefinition{},
	apiextensionsv1.CustomResourceDefinitionList{}, metav1.APIGroup{}, metav1.APIGroupList{}, metav1.APIResourceList{},
	metav1.APIVersions{}, metav1.DeleteOptions{}, metav1.Patch{}, metav1.Status{}, metav1.WatchEvent{},
}

// Kinds that every group registers count for these.
var served = []schema.GroupVersion{
	{Version: "v1"}, {Group: "apps", Version: "v1"}, {Group: "apiextensions.k8s.io", Version: "v1"}, {Group: "authentication.k8s.io", Version: "v1"},
	{Group: "authorization.k8s.io", Version: "v1"}, {Group: "coordination.k8s.io", Version: "v1"},
	{Group: "events.k8s.io", Version: "v1"},
}

// Definitions with a JSON form of their own, and what it is.
var special = map[string]string{
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON":                         "json",
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray":       "props-or-array",
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool":        "props-or-bool",
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "props-or-strings",
	"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1":                                         "raw",
	"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime":                                        "micro-time",
	"io.k8s.apimachinery.pkg.apis.meta.v1.Patch":                                            "raw",
	"io.k8s.apimachinery.pkg.apis.meta.v1.Time":                                             "time",
	"io.k8s.apimachinery.pkg.runtime.RawExtension":                                          "raw",
}

type field struct {
	Number int `json:"number,omitempty"`
	// `string`, `bytes`, `bool`, `int32`, `int64`, `double`, `extra`, a definition; `[]` and `map:` before the type of the items.
	Type string `json:"type"`
	// Of the Go field: the zero value is written (`value`), left out (`omit`), or told from absent (`pointer`).
	Zero    string         `json:"zero"`
	Default any            `json:"default,omitempty"`
	Enum    []any          `json:"enum,omitempty"`
	X       map[string]any `json:"x,omitempty"`
	// The definition publishes no format where the type has one, or another one.
	Format *string `json:"format,omitempty"`
}

type definition struct {
	Kinds    []string         `json:"kinds,omitempty"`
	Special  string           `json:"special,omitempty"`
	Required []string         `json:"required,omitempty"`
	X        map[string]any   `json:"x,omitempty"`
	Fields   map[string]field `json:"fields,omitempty"`
}

type facts struct {
	openapi map[string]common.OpenAPIDefinition
	found   map[string]definition
}

func main() {
	if err := apiextensionsv1.AddToScheme(scheme.Scheme); err != nil {
		panic(err)
	}
	f := facts{
		openapi: openapi.GetOpenAPIDefinitions(func(name string) spec.Ref { return spec.MustCreateRef(name) }),
		found:   map[string]definition{},
	}
	for _, root := range roots {
		f.walk(reflect.TypeOf(root))
	}
	f.print()
}

// print writes one field a line, so that a difference is readable.
func (f facts) print() {
	out := &bytes.Buffer{}
	out.WriteString("{\n")
	names := keys(f.found)
	for i, name := range names {
		d := f.found[name]
		fields := d.Fields
		d.Fields = nil
		head := encode(d)
		fmt.Fprintf(out, "%s: %s", encode(name), strings.TrimSuffix(head, "}"))
		if len(fields) > 0 {
			if head != "{}" {
				out.WriteString(",")
			}
			out.WriteString("\"fields\": {\n")
			for j, key := range keys(fields) {
				fmt.Fprintf(out, "  %s: %s%s\n", encode(key), encode(fields[key]), comma(j, len(fields)))
			}
			out.WriteString("}")
		}
		fmt.Fprintf(out, "}%s\n", comma(i, len(names)))
	}
	out.WriteString("}\n")
	if _, err := os.Stdout.Write(out.Bytes()); err != nil {
		panic(err)
	}
}

func comma(i, of int) string {
	if i+1 < of {
		return ","
	}
	return ""
}

func encode(v any) string {
	text := &bytes.Buffer{}
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(text.String())
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

type named interface{ OpenAPIModelName() string }

func name(t reflect.Type) string {
	if n, ok := reflect.New(t).Interface().(named); ok {
		return n.OpenAPIModelName()
	}
	panic("no definition name: " + t.String())
}

func (f facts) walk(t reflect.Type) {
	id := name(t)
	if _, seen := f.found[id]; seen {
		return
	}
	d := definition{Special: special[id], X: map[string]any{}, Fields: map[string]field{}}
	f.found[id] = d
	published, known := f.openapi[id]
	if !known {
		panic("no OpenAPI definition: " + id)
	}
	s := published.Schema
	d.Required = s.Required
	d.X = extensions(s.Extensions)
	for gvk := range scheme.Scheme.AllKnownTypes() {
		at := gvk.GroupVersion()
		own := slices.Contains(served, at) || id == "io.k8s.api.autoscaling.v1.Scale" && at.String() == "autoscaling/v1"
		if own && scheme.Scheme.Recognizes(gvk) && scheme.Scheme.AllKnownTypes()[gvk] == t {
			d.Kinds = append(d.Kinds, gvk.Group+"/"+gvk.Version+"/"+gvk.Kind)
		}
	}
	sort.Strings(d.Kinds)
	if t.Kind() == reflect.Struct && (d.Special == "" || strings.HasPrefix(d.Special, "props-")) {
		f.fields(t, s, d.Fields, d.Special == "")
	}
	f.found[id] = d
}

func (f facts) fields(t reflect.Type, s spec.Schema, into map[string]field, isPublished bool) {
	for i := range t.NumField() {
		g := t.Field(i)
		tag := strings.Split(g.Tag.Get("json"), ",")
		if slices.Contains(tag[1:], "inline") || (g.Anonymous && tag[0] == "") {
			// Its two fields are in JSON only: protobuf carries them in the envelope.
			if g.Type != reflect.TypeFor[metav1.TypeMeta]() {
				panic("inline: " + t.String() + "." + g.Name)
			}
			for _, key := range []string{"apiVersion", "kind"} {
				into[key] = field{Type: "string", Zero: "omit"}
			}
			continue
		}
		key := tag[0]
		if key == "" {
			key = strings.ToLower(g.Name[:1]) + g.Name[1:]
		}
		if key == "-" {
			continue
		}
		one := field{Type: f.typeOf(g.Type), Zero: zero(g.Type, tag[1:])}
		if parts := strings.Split(g.Tag.Get("protobuf"), ","); len(parts) > 1 {
			number, err := strconv.Atoi(parts[1])
			if err != nil {
				panic(err)
			}
			one.Number = number
		}
		p, known := s.Properties[key]
		if isPublished && !known {
			panic("no property: " + t.String() + "." + key)
		}
		one.Default, one.Enum, one.X = p.Default, p.Enum, extensions(p.Extensions)
		if isPublished && p.Format != formats[one.Type] {
			one.Format = &p.Format
		}
		for tag, extension := range map[string]string{
			"patchStrategy": "x-kubernetes-patch-strategy", "patchMergeKey": "x-kubernetes-patch-merge-key",
		} {
			if value := g.Tag.Get(tag); value != "" && one.X[extension] != value {
				panic(fmt.Sprint(t, ".", key, ": ", extension, " is ", one.X[extension], ", not ", value))
			}
		}
		into[key] = one
	}
}

var formats = map[string]string{"bytes": "byte", "int32": "int32", "int64": "int64", "double": "double"}

func extensions(of spec.Extensions) map[string]any {
	kept := map[string]any{}
	for key, value := range of {
		if strings.HasPrefix(key, "x-kubernetes-") {
			kept[key] = value
		}
	}
	return kept
}

func zero(t reflect.Type, options []string) string {
	switch {
	case t.Kind() == reflect.Pointer && slices.Contains(options, "omitempty"):
		return "pointer"
	case slices.Contains(options, "omitzero"), t.Kind() != reflect.Struct && slices.Contains(options, "omitempty"):
		return "omit"
	default:
		return "value"
	}
}

func (f facts) typeOf(t reflect.Type) string {
	if _, ok := reflect.New(t).Interface().(named); ok {
		f.walk(t)
		return name(t)
	}
	// A message with a list of strings in protobuf, the list itself in JSON.
	if t.Name() == "ExtraValue" {
		return "extra"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return f.typeOf(t.Elem())
	case reflect.Map:
		return "map:" + f.typeOf(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + f.typeOf(t.Elem())
	case reflect.Float64:
		return "double"
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64:
		return t.Kind().String()
	default:
		panic("no type: " + t.String())
	}
}
