// Prints objects of every built-in kind that the embedded API server serves as typed clients send them: the kind, the
// protobuf bytes in hex, and the JSON that Go's encoder makes of what it decodes from them. Filled and nearly empty ones.
//
// tests/scripts/builtin-facts writes the output to where the tests read it.
package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

type message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

type sample struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Hex        string          `json:"hex"`
	JSON       json.RawMessage `json:"json"`
}

func to[T any](v T) *T { return &v }

var (
	at    = metav1.NewTime(time.Date(2024, 2, 29, 12, 30, 1, 500, time.FixedZone("", 7200)))
	micro = metav1.NewMicroTime(time.Date(2024, 2, 29, 12, 30, 1, 123456789, time.UTC))
	meta  = metav1.ObjectMeta{
		Name: "a", Namespace: "b", UID: "u", ResourceVersion: "7", Generation: 3, CreationTimestamp: at,
		DeletionTimestamp: &at, DeletionGracePeriodSeconds: to(int64(0)), GenerateName: "g-",
		Labels: map[string]string{"k": "v", "empty": ""}, Annotations: map[string]string{"x/y": "z\n\"é"},
		Finalizers: []string{"a/b", "c/d"},
		OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: "o", UID: "1", Controller: to(false), BlockOwnerDeletion: to(true)},
			{},
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "m", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", Time: &at,
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:data":{".":{},"f:a":{}}}`),
		}},
	}
	props = apiextensionsv1.JSONSchemaProps{
		Type: "object", Required: []string{"spec"}, Maximum: to(10.5), Minimum: to(-2.0), MaxLength: to(int64(5)),
		XPreserveUnknownFields: to(true), XListType: to("map"), XListMapKeys: []string{"n"}, XIntOrString: true,
		Default: &apiextensionsv1.JSON{Raw: []byte(`{"a":[1,null,"x"]}`)},
		Enum:    []apiextensionsv1.JSON{{Raw: []byte(`"x"`)}, {Raw: []byte(`5`)}},
		Items:   &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{Type: "string"}},
		AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{
			Allows: true, Schema: &apiextensionsv1.JSONSchemaProps{Format: "byte", Nullable: true},
		},
		AdditionalItems: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true},
		Properties: map[string]apiextensionsv1.JSONSchemaProps{
			"spec": {Type: "integer", Format: "int32"}, "not": {Not: &apiextensionsv1.JSONSchemaProps{}},
		},
		Dependencies: apiextensionsv1.JSONSchemaDependencies{"d": {Property: []string{"p", "q"}}},
		XValidations: apiextensionsv1.ValidationRules{{Rule: "self == oldSelf", Message: "no", OptionalOldSelf: to(false)}},
	}
	extra = map[string]authorizationv1.ExtraValue{"e": {"1", ""}, "none": {}}
)

var objects = []struct {
	apiVersion, kind string
	object           message
}{
	{"v1", "ConfigMap", &corev1.ConfigMap{}},
	{"v1", "ConfigMap", &corev1.ConfigMap{
		ObjectMeta: meta, Immutable: to(false), Data: map[string]string{"k": "v", "": "", "é": "\u2028"},
		BinaryData: map[string][]byte{"b": {0, 255, 1}, "none": {}},
	}},
	{"v1", "Secret", &corev1.Secret{}},
	{"v1", "Secret", &corev1.Secret{
		ObjectMeta: meta, Type: "x/y", Data: map[string][]byte{"b": []byte("hello")}, StringData: map[string]string{"s": "t"},
		Immutable: to(true),
	}},
	{"v1", "Namespace", &corev1.Namespace{}},
	{"v1", "Namespace", &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}},
		Status: corev1.NamespaceStatus{Phase: "Active", Conditions: []corev1.NamespaceCondition{
			{Type: "T", Status: "True", LastTransitionTime: at, Reason: "R", Message: "M"}, {},
		}},
	}},
	{"v1", "ServiceAccount", &corev1.ServiceAccount{}},
	{"v1", "ServiceAccount", &corev1.ServiceAccount{
		ObjectMeta: meta, Secrets: []corev1.ObjectReference{{Name: "s"}}, AutomountServiceAccountToken: to(false),
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "p"}, {}},
	}},
	{"v1", "Event", &corev1.Event{}},
	{"v1", "Event", &corev1.Event{
		ObjectMeta: meta, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "b", Name: "p", FieldPath: "spec"},
		Reason: "R", Message: "M", Source: corev1.EventSource{Component: "c", Host: "h"}, FirstTimestamp: at, LastTimestamp: at,
		Count: 3, Type: "Normal", EventTime: micro, Series: &corev1.EventSeries{Count: 2, LastObservedTime: micro},
		Action: "A", Related: &corev1.ObjectReference{Name: "r"}, ReportingController: "rc", ReportingInstance: "ri",
	}},
	{"events.k8s.io/v1", "Event", &eventsv1.Event{}},
	{"events.k8s.io/v1", "Event", &eventsv1.Event{
		ObjectMeta: meta, EventTime: micro, Series: &eventsv1.EventSeries{Count: -1}, ReportingController: "c/d",
		ReportingInstance: "i", Action: "A", Reason: "R", Regarding: corev1.ObjectReference{Name: "p"}, Note: "N", Type: "Warning",
		Related: &corev1.ObjectReference{}, DeprecatedSource: corev1.EventSource{Component: "c"}, DeprecatedCount: 9,
		DeprecatedFirstTimestamp: at, DeprecatedLastTimestamp: at,
	}},
	{"coordination.k8s.io/v1", "Lease", &coordinationv1.Lease{}},
	{"coordination.k8s.io/v1", "Lease", &coordinationv1.Lease{
		ObjectMeta: meta, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: to(""), LeaseDurationSeconds: to(int32(-15)), AcquireTime: &micro,
			LeaseTransitions: to(int32(0)), Strategy: to(coordinationv1.OldestEmulationVersion), PreferredHolder: to("p"),
		},
	}},
	{"apps/v1", "ControllerRevision", &appsv1.ControllerRevision{}},
	{"apps/v1", "ControllerRevision", &appsv1.ControllerRevision{
		ObjectMeta: meta, Data: runtime.RawExtension{Raw: []byte(`{"spec":{"b":[1,null],"a":"\u00e9"}}`)}, Revision: 1 << 40,
	}},
	{"authorization.k8s.io/v1", "SelfSubjectAccessReview", &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: "n", Verb: "get", Group: "g", Version: "v", Resource: "r", Subresource: "s", Name: "x",
			FieldSelector: &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{
				{Key: "k", Operator: "In", Values: []string{"a"}},
			}},
			LabelSelector: &authorizationv1.LabelSelectorAttributes{RawSelector: "a=b"},
		}},
		Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "R"},
	}},
	{"authorization.k8s.io/v1", "SubjectAccessReview", &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/x", Verb: "get"}, User: "u",
			Groups: []string{"g", ""}, UID: "1", Extra: extra,
		},
	}},
	{"authorization.k8s.io/v1", "LocalSubjectAccessReview", &authorizationv1.LocalSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n"},
	}},
	{"authorization.k8s.io/v1", "SelfSubjectRulesReview", &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "n"},
		Status: authorizationv1.SubjectRulesReviewStatus{
			ResourceRules: []authorizationv1.ResourceRule{{Verbs: []string{"*"}}, {}}, EvaluationError: "E",
		},
	}},
	{"authentication.k8s.io/v1", "SelfSubjectReview", &authenticationv1.SelfSubjectReview{
		Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{
			Username: "u", Extra: map[string]authenticationv1.ExtraValue{"e": {"1"}},
		}},
	}},
	{"apiextensions.k8s.io/v1", "CustomResourceDefinition", &apiextensionsv1.CustomResourceDefinition{}},
	{"apiextensions.k8s.io/v1", "CustomResourceDefinition", &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: meta, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "g", Scope: "Namespaced", Names: apiextensionsv1.CustomResourceDefinitionNames{
				Plural: "ts", Kind: "T", ShortNames: []string{"t"},
			},
			Conversion: &apiextensionsv1.CustomResourceConversion{
				Strategy: "Webhook", Webhook: &apiextensionsv1.WebhookConversion{
					ClientConfig: &apiextensionsv1.WebhookClientConfig{
						URL: to("u"), CABundle: []byte{1}, Service: &apiextensionsv1.ServiceReference{Port: to(int32(0))},
					},
				},
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, DeprecationWarning: to(""), Schema: &apiextensionsv1.CustomResourceValidation{
					OpenAPIV3Schema: &props,
				},
				Subresources: &apiextensionsv1.CustomResourceSubresources{
					Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
					Scale:  &apiextensionsv1.CustomResourceSubresourceScale{LabelSelectorPath: to(".s")},
				},
				AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "c", Priority: 1}},
				SelectableFields:         []apiextensionsv1.SelectableField{{JSONPath: ".x"}},
			}},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{
			Conditions:     []apiextensionsv1.CustomResourceDefinitionCondition{{Type: "T", Status: "True"}},
			StoredVersions: []string{"v1"},
		},
	}},
	{"coordination.k8s.io/v1", "DeleteOptions", &metav1.DeleteOptions{}},
	{"v1", "DeleteOptions", &metav1.DeleteOptions{
		GracePeriodSeconds: to(int64(0)), Preconditions: &metav1.Preconditions{UID: to(metav1.ObjectMeta{UID: "u"}.UID)},
		OrphanDependents: to(false), PropagationPolicy: to(metav1.DeletePropagationForeground), DryRun: []string{"All"},
	}},
	{"v1", "ConfigMapList", &corev1.ConfigMapList{
		ListMeta: metav1.ListMeta{ResourceVersion: "5", Continue: "c", RemainingItemCount: to(int64(1))},
		Items:    []corev1.ConfigMap{{}},
	}},
	{"v1", "Status", &metav1.Status{
		Status: "Failure", Code: 404, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "f"}}},
	}},
	{"v1", "WatchEvent", &metav1.WatchEvent{Type: "ADDED", Object: runtime.RawExtension{Raw: []byte(`{"a":1}`)}}},
}

func main() {
	samples := make([]sample, 0, len(objects))
	for _, one := range objects {
		raw, err := one.object.Marshal()
		check(err)
		decoded := reflect.New(reflect.TypeOf(one.object).Elem()).Interface().(message)
		check(decoded.Unmarshal(raw))
		// Where the type says so in Go, it says so in JSON; a watch event does not.
		if object, ok := decoded.(runtime.Object); ok {
			object.GetObjectKind().SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind(one.kind))
		}
		text, err := json.Marshal(decoded)
		check(err)
		samples = append(samples, sample{one.apiVersion, one.kind, hex.EncodeToString(raw), text})
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	check(encoder.Encode(samples))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
