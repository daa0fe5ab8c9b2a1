#include "orchestrator/api/field_set.h"

#include <algorithm>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/json_compare.h"

namespace keel::orchestrator {
namespace {

// Of JSON that came from outside: far deeper than any object that a schema allows.
constexpr int kMaxDepth = 200;

bool Before(const FieldNode& node, std::string_view element) { return node.element < element; }

absl::Status Malformed(std::string_view element) {
  return BadRequest(base::StrCat("managedFields: not a path element: ", element));
}

// The one way in which we write an element.
absl::StatusOr<std::string> Canonical(std::string_view element) {
  if (element.size() < 2 || element[1] != ':') return Malformed(element);
  const std::string_view rest = element.substr(2);
  switch (element[0]) {
    case 'f':
      return std::string(element);
    case 'i':
      if (rest.empty() || rest.find_first_not_of("0123456789") != std::string_view::npos) {
        return Malformed(element);
      }
      return std::string(element);
    case 'k':
    case 'v': {
      const auto value = ParseJson(rest);
      if (!value.ok() || (element[0] == 'k' && !value->is_object())) return Malformed(element);
      return base::StrCat(element.substr(0, 2), CanonicalJson(*value));
    }
    default:
      return Malformed(element);
  }
}

absl::StatusOr<FieldSet> Parse(const json::value& fields, int depth, bool* self) {
  const json::object* object = fields.if_object();
  if (object == nullptr) return BadRequest("managedFields: fieldsV1 must be made of objects");
  if (depth > kMaxDepth) return BadRequest("managedFields: fieldsV1 is too deep");
  FieldSet set;
  for (const auto& member : *object) {
    const std::string_view key(member.key().data(), member.key().size());
    if (key == ".") {
      *self = true;
      continue;
    }
    KEEL_ASSIGN_OR_RETURN(std::string element, Canonical(key));
    bool is_member = false;
    KEEL_ASSIGN_OR_RETURN(FieldSet below, Parse(member.value(), depth + 1, &is_member));
    // An empty object is a member with nothing below it.
    if (below.empty()) is_member = true;
    set.Put(std::move(element), is_member, std::move(below));
  }
  return set;
}

// `[name="a",port=1]`: a key of a list for people.
std::string Readable(std::string_view element) {
  const std::string_view rest = element.substr(2);
  switch (element[0]) {
    case 'f':
      return base::StrCat(".", rest);
    case 'v':
      return base::StrCat("[=", rest, "]");
    case 'k': {
      std::string out;
      const auto keys = ParseJson(rest);
      if (!keys.ok()) return base::StrCat("[", rest, "]");
      for (const auto& key : keys->get_object()) {
        out += base::StrCat(out.empty() ? "" : ",",
                            std::string_view(key.key().data(), key.key().size()), "=",
                            ToJson(key.value()));
      }
      return base::StrCat("[", out, "]");
    }
    default:
      return base::StrCat("[", rest, "]");
  }
}

void AppendPaths(const FieldSet& set, const std::string& prefix, std::vector<std::string>& out) {
  for (const FieldNode& node : set.nodes()) {
    const std::string path = prefix + Readable(node.element);
    if (node.member) out.push_back(path);
    AppendPaths(node.below, path, out);
  }
}

}  // namespace

FieldSet::FieldSet() = default;
FieldSet::~FieldSet() = default;
FieldSet::FieldSet(const FieldSet&) = default;
FieldSet::FieldSet(FieldSet&&) noexcept = default;
FieldSet& FieldSet::operator=(const FieldSet&) = default;
FieldSet& FieldSet::operator=(FieldSet&&) noexcept = default;

absl::StatusOr<FieldSet> FieldSet::FromFieldsV1(const json::value& fields) {
  bool self = false;
  return Parse(fields, 0, &self);
}

json::object FieldSet::ToFieldsV1() const {
  json::object out;
  out.reserve(nodes_.size());
  for (const FieldNode& node : nodes_) {
    json::object below = node.below.ToFieldsV1();
    if (node.member && !below.empty()) below["."] = json::object();
    out[node.element] = std::move(below);
  }
  return out;
}

const FieldNode* FieldSet::Find(std::string_view element) const {
  const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), element, Before);
  return at == nodes_.end() || at->element != element ? nullptr : &*at;
}

bool FieldSet::Has(const std::vector<std::string>& path) const {
  const FieldSet* set = this;
  const FieldNode* node = nullptr;
  for (const std::string& element : path) {
    node = set->Find(element);
    if (node == nullptr) return false;
    set = &node->below;
  }
  return node != nullptr && node->member;
}

std::vector<std::string> FieldSet::Paths() const {
  std::vector<std::string> out;
  AppendPaths(*this, "", out);
  return out;
}

void FieldSet::Put(std::string element, bool member, FieldSet below) {
  if (!member && below.empty()) return;
  const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), std::string_view(element), Before);
  if (at != nodes_.end() && at->element == element) {
    at->member |= member;
    at->below = at->below.empty() ? std::move(below) : at->below.Union(below);
    return;
  }
  nodes_.insert(at, FieldNode{std::move(element), member, std::move(below)});
}

void FieldSet::Insert(const std::vector<std::string>& path) {
  FieldSet chain;
  for (size_t i = path.size(); i-- > 0;) {
    FieldSet up;
    up.Put(path[i], i + 1 == path.size(), std::move(chain));
    chain = std::move(up);
  }
  *this = Union(chain);
}

void FieldSet::Erase(const std::vector<std::string>& path) {
  if (path.empty()) return;
  const auto at =
      std::lower_bound(nodes_.begin(), nodes_.end(), std::string_view(path.front()), Before);
  if (at == nodes_.end() || at->element != path.front()) return;
  if (path.size() > 1) at->below.Erase({path.begin() + 1, path.end()});
  if (path.size() == 1 || (!at->member && at->below.empty())) nodes_.erase(at);
}

FieldSet FieldSet::Union(const FieldSet& other) const {
  FieldSet out;
  out.nodes_.reserve(std::max(nodes_.size(), other.nodes_.size()));
  auto a = nodes_.begin();
  auto b = other.nodes_.begin();
  while (a != nodes_.end() || b != other.nodes_.end()) {
    if (b == other.nodes_.end() || (a != nodes_.end() && a->element < b->element)) {
      out.nodes_.push_back(*a++);
    } else if (a == nodes_.end() || b->element < a->element) {
      out.nodes_.push_back(*b++);
    } else {
      out.nodes_.push_back({a->element, a->member || b->member, a->below.Union(b->below)});
      ++a;
      ++b;
    }
  }
  return out;
}

FieldSet FieldSet::Intersection(const FieldSet& other) const {
  FieldSet out;
  for (const FieldNode& node : nodes_) {
    const FieldNode* same = other.Find(node.element);
    if (same == nullptr) continue;
    out.Put(node.element, node.member && same->member, node.below.Intersection(same->below));
  }
  return out;
}

FieldSet FieldSet::Difference(const FieldSet& other) const {
  FieldSet out;
  out.nodes_.reserve(nodes_.size());
  for (const FieldNode& node : nodes_) {
    const FieldNode* same = other.Find(node.element);
    if (same == nullptr) {
      out.nodes_.push_back(node);
    } else {
      out.Put(node.element, node.member && !same->member, node.below.Difference(same->below));
    }
  }
  return out;
}

bool operator==(const FieldSet& a, const FieldSet& b) {
  return std::equal(a.nodes_.begin(), a.nodes_.end(), b.nodes_.begin(), b.nodes_.end(),
                    [](const FieldNode& x, const FieldNode& y) {
                      return x.member == y.member && x.element == y.element && x.below == y.below;
                    });
}

}  // namespace keel::orchestrator
