// Sets of places in objects: which fields a manager owns, as Kubernetes writes them (FieldsV1).
//
//   FieldSet set = SetOf(schema, config);              // apply_walk.h
//   set.ToFieldsV1();                                  // {"f:spec":{"f:replicas":{}}}
//   owned.Intersection(changed).Paths();               // {".spec.replicas"}
//
// A place is a path of elements, each written as in FieldsV1: "f:NAME" a member of an object or
// map, `k:{"name":"a"}` an item of a list by its keys (in the order of their names), `v:"x"` an
// item of a set, "i:3" an item by its index. A set is a tree of them; a node can be in the set
// itself, have others below it, or both. See structured-merge-diff in kubernetes-sigs.
//
// Thread-safety: none; values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

struct FieldNode;

class FieldSet {
 public:
  FieldSet();
  ~FieldSet();
  FieldSet(const FieldSet&);
  FieldSet(FieldSet&&) noexcept;
  FieldSet& operator=(const FieldSet&);
  FieldSet& operator=(FieldSet&&) noexcept;

  // BadRequest for what is no FieldsV1. Keys and values are brought into their one written form.
  static absl::StatusOr<FieldSet> FromFieldsV1(const json::value& fields);
  json::object ToFieldsV1() const;

  bool empty() const { return nodes_.empty(); }
  // Sorted by their elements.
  const std::vector<FieldNode>& nodes() const { return nodes_; }
  const FieldNode* Find(std::string_view element) const;
  bool Has(const std::vector<std::string>& path) const;
  // Each member as people read it: `.spec.containers[name="a"].image`.
  std::vector<std::string> Paths() const;

  // Puts the place one element below, with what is below it; nothing if both are empty.
  void Put(std::string element, bool member, FieldSet below);
  void Insert(const std::vector<std::string>& path);
  // Forgets a place and all below it.
  void Erase(const std::vector<std::string>& path);

  FieldSet Union(const FieldSet& other) const;
  FieldSet Intersection(const FieldSet& other) const;
  FieldSet Difference(const FieldSet& other) const;
  friend bool operator==(const FieldSet& a, const FieldSet& b);

 private:
  std::vector<FieldNode> nodes_;
};

struct FieldNode {
  std::string element{};
  bool member = false;
  FieldSet below{};
};

}  // namespace keel::orchestrator
