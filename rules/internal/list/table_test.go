package list

import (
	"hash/maphash"
	"reflect"
	"testing"
)

// A million entries must be nothing to the collector: what grows with them holds no pointer.
func TestWhatATableHoldsForEachEntryHasNoPointer(t *testing.T) {
	var hasPointer func(reflect.Type) bool
	hasPointer = func(kind reflect.Type) bool {
		switch kind.Kind() {
		case reflect.Array:
			return hasPointer(kind.Elem())
		case reflect.Struct:
			for field := range kind.Fields() {
				if hasPointer(field.Type) {
					return true
				}
			}
			return false
		case reflect.Uint8, reflect.Uint32:
			return false
		default:
			return true
		}
	}
	for field := range reflect.TypeFor[table]().Fields() {
		switch {
		case field.Name == "pages": // one pointer for 1 MiB
			if hasPointer(field.Type.Elem().Elem()) {
				t.Errorf("%s holds pointers, one for each entry", field.Name)
			}
		case field.Type.Kind() == reflect.Slice:
			if hasPointer(field.Type.Elem()) {
				t.Errorf("%s holds pointers, one for each entry", field.Name)
			}
		case field.Type.Kind() == reflect.Map || field.Type.Kind() == reflect.Pointer || field.Type.Kind() == reflect.Interface:
			t.Errorf("%s is a %s", field.Name, field.Type)
		}
	}
}

// Whoever knows which names collide in one process knows nothing of another, nor of another list.
func TestEveryTableHasASeedOfItsOwn(t *testing.T) {
	text := []byte("a.example\n")
	one, same := Compile(text), Compile(text)
	const name = "a.example"
	if maphash.String(one.table.seed, name) == maphash.String(same.table.seed, name) {
		t.Error("two tables of one content hash alike")
	}
}
