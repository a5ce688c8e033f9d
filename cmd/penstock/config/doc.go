// Package config is the configuration file of penstock: its schema, and all that is
// made from it.
//
// One tree of Go structs is the schema. The tag yaml names a key, doc describes it,
// default is what holds without it (as it would be written), enum lists what is
// allowed. One walker over the nodes of the YAML parser fills the tree (decode.go);
// the JSON Schema, the reference and `config show` walk the tree itself (schema.go,
// effective.go). JSON is YAML, so there is no second decoder.
//
//	Load -> Decode -> *File{Config} -> Check     what `validate` does
//	                       |-> Effective        what `config show --effective` prints
//	                       `-> Diff, Hashes     what a reload changes
//
// # Strictness
//
// An unknown key, a key given twice, a wrong type or unit, a merge key, an empty
// value are errors with file, line and column, and all of them are reported at once.
// ${NAME} and ${NAME:-default} are expanded within scalars after parsing, so that a
// value cannot change the structure. Secrets are read from files that keys ending in
// _file name; none stands in the file itself.
//
// # Bounds
//
// A file has at most 1 MiB, 32 levels, 1000 uses of aliases and 100,000 nodes with
// them; of errors 100 are reported.
package config
