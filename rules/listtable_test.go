package rules

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
	slices := 0
	for field := range reflect.TypeFor[listTable]().Fields() {
		switch field.Type.Kind() {
		case reflect.Slice:
			if slices++; hasPointer(field.Type.Elem()) {
				t.Errorf("%s holds pointers, one for each entry", field.Name)
			}
		case reflect.Map, reflect.Pointer, reflect.Interface:
			t.Errorf("%s is a %s", field.Name, field.Type)
		default:
		}
	}
	if slices != 2 {
		t.Errorf("%d slices, want those of groups and text", slices)
	}
}

// Whoever knows which names collide in one process knows nothing of another, nor of another list.
func TestEveryTableHasASeedOfItsOwn(t *testing.T) {
	text := []byte("a.example\n")
	one, same := CompileList(text), CompileList(text)
	const name = "a.example"
	if maphash.String(one.table.seed, name) == maphash.String(same.table.seed, name) {
		t.Error("two tables of one content hash alike")
	}
}
