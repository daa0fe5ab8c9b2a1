// What server-side apply does with objects by their schema, apart from who owns what.
//
//   FieldSet set = SetOf(schema, config);
//   json::value merged = live;
//   MergeConfig(schema, merged, config);
//   const Changes changes = Compare(schema, live, merged);
//
// Objects, maps and lists that are maps or sets are looked into; scalars, atomic ones and whatever
// has no schema count as one field. Thread-safety: none; free functions over the caller's values.
#pragma once

#include "absl/status/status.h"
#include "orchestrator/api/field_set.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

// BadRequest when an item of a list lacks a key, or two have the same: then nobody can say which of
// them is meant.
absl::Status CheckKeys(const Schema& schema, const json::value& value);

// The fields that a configuration says something about.
FieldSet SetOf(const Schema& schema, const json::value& value);

struct Changes {
  FieldSet changed;  // added or of another value
  FieldSet removed;
};
// Null is nothing: Compare(schema, json::value(), object) is what a create sets.
Changes Compare(const Schema& schema, const json::value& before, const json::value& now);

// Puts all that `config` says into `object`. Items of lists come in the order of `config`, those
// that it does not name stay among them where they were. REQUIRES: CheckKeys(schema, config).ok().
void MergeConfig(const Schema& schema, json::value& object, const json::value& config);

// Removes the members of `fields`; objects and lists that are empty then go too.
void RemoveFields(const Schema& schema, json::value& object, const FieldSet& fields);

}  // namespace keel::orchestrator
