package policysource

import (
	"context"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/internal/policyfile"
)

// Check reads the policies, and finds the mistakes in them.
func (o *Location) Check(ctx context.Context, stdin io.Reader) (all *policyfile.Checked, found *Set, err error) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		return nil, nil, err
	}
	found = &Set{recursive: o.Recursive}
	if len(o.Paths) > 0 {
		err := o.readPaths(ctx, found, func(paths []string) (err error) {
			all, err = reader.Check(ctx, paths, stdin)
			return err
		}, func(texts []policyfile.Text) (err error) {
			all, err = reader.CheckTexts(ctx, texts)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		found.otherObjects = all.Others
		return all, found, nil
	}
	all = &policyfile.Checked{}
	err = o.visitCluster(ctx, found, func(objects []unstructured.Unstructured, lists listReader) error {
		checked, err := reader.CheckObjects(ctx, objects, lists)
		if err != nil {
			return err
		}
		all.Policies, all.Mistakes = append(all.Policies, checked.Policies...), append(all.Mistakes, checked.Mistakes...)
		return nil
	})
	return all, found, err
}
