#include <algorithm>
#include <charconv>
#include <deque>

#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/pattern.h"
#include "orchestrator/api/schema.h"
#include "orchestrator/api/schema_text.h"

namespace keel::orchestrator {
namespace {

const absl::flat_hash_map<std::string_view, FieldType>& ScalarTypes() {
  static const auto& types =
      *new absl::flat_hash_map<std::string_view, FieldType>{{"string", FieldType::kString},
                                                            {"bool", FieldType::kBool},
                                                            {"int32", FieldType::kInt32},
                                                            {"int64", FieldType::kInt64},
                                                            {"number", FieldType::kNumber},
                                                            {"bytes", FieldType::kBytes},
                                                            {"time", FieldType::kTime},
                                                            {"microtime", FieldType::kMicroTime},
                                                            {"quantity", FieldType::kQuantity},
                                                            {"intstr", FieldType::kIntOrString},
                                                            {"any", FieldType::kAny}};
  return types;
}

bool IsModifier(std::string_view word) {
  static constexpr std::string_view kAll[] = {
      "enum",   "min",   "max",        "maxlen",    "minlen",   "pattern",  "key", "set",
      "atomic", "merge", "retainkeys", "immutable", "nullable", "preserve", "dups"};
  return std::find(std::begin(kAll), std::end(kAll), word) != std::end(kAll);
}

template <typename Number>
bool ParseNumber(const std::vector<std::string>& arguments, Number& out) {
  if (arguments.size() != 1) return false;
  const std::string& text = arguments[0];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

absl::Status WithLine(int line, const absl::Status& status) {
  return SchemaTextError(line, base::ToStd(status.message()));
}

}  // namespace

struct TypeRegistry::Impl {
  // A place where a type was named. A node that adds nothing to the type gives way to it; one with
  // modifiers becomes a copy.
  struct Reference {
    const Schema** slot = nullptr;  // null: `node` itself is to become a copy
    Schema* node = nullptr;
    std::string type{};
    std::string scope{};
    int line = 0;
  };
  using Key = std::pair<std::string, std::string>;  // scope, name

  std::deque<Schema> nodes;  // never moves what it holds
  absl::flat_hash_map<Key, Schema*> types;
  std::vector<Reference> references;
  bool resolved = false;

  Schema* Find(std::string_view name, std::string_view scope) const {
    const auto of_scope = types.find(Key(scope, name));
    if (of_scope != types.end()) return of_scope->second;
    const auto common = types.find(Key("", name));
    return common == types.end() ? nullptr : common->second;
  }

  Schema* NewNode(FieldType type) {
    nodes.emplace_back();
    nodes.back().type = type;
    return &nodes.back();
  }

  // What a field's text says of its type; a name of a type in `reference`, for the caller to place.
  struct Parsed {
    Schema* node = nullptr;
    std::string reference{};
  };

  absl::StatusOr<Parsed> ParseType(SchemaTokens& tokens, std::string_view scope, int line) {
    Parsed parsed;
    const bool list = tokens.Peek() == '[';
    if (list || tokens.Peek() == '{') {
      tokens.Take(tokens.Peek());
      KEEL_ASSIGN_OR_RETURN(Parsed items, ParseType(tokens, scope, line));
      if (!tokens.Take(list ? ']' : '}')) {
        return absl::InvalidArgumentError(list ? "expected ]" : "expected }");
      }
      parsed.node = NewNode(list ? FieldType::kList : FieldType::kMap);
      parsed.node->items = items.node;
      if (!items.reference.empty()) {
        references.push_back(
            {&parsed.node->items, nullptr, items.reference, std::string(scope), line});
      }
      return parsed;
    }
    const std::string_view word = tokens.Word();
    if (word.empty()) return absl::InvalidArgumentError("expected a type");
    const auto scalar = ScalarTypes().find(word);
    parsed.node = NewNode(scalar == ScalarTypes().end() ? FieldType::kObject : scalar->second);
    if (scalar == ScalarTypes().end()) parsed.reference = word;
    return parsed;
  }

  // One modifier, whose name has been read. `node` is what stands before it.
  absl::Status ParseModifier(std::string_view word, SchemaTokens& tokens, Schema& node) {
    const bool list = node.type == FieldType::kList;
    if (word == "set") {
      if (!list) return absl::InvalidArgumentError("set is for lists");
      node.list_kind = Schema::ListKind::kSet;
    } else if (word == "merge") {
      if (!list) return absl::InvalidArgumentError("merge is for lists");
      node.merge_scalars = true;
    } else if (word == "dups") {
      node.duplicates_allowed = true;
    } else if (word == "atomic") {
      node.atomic = true;
      if (list) node.list_kind = Schema::ListKind::kAtomic;
    } else if (word == "retainkeys") {
      node.retain_keys = true;
    } else if (word == "immutable") {
      node.immutable = true;
    } else if (word == "nullable") {
      node.nullable = true;
    } else if (word == "preserve") {
      node.preserve_unknown = true;
    } else {
      return ParseModifierWithArguments(word, tokens, node);
    }
    return absl::OkStatus();
  }

  absl::Status ParseModifierWithArguments(std::string_view word, SchemaTokens& tokens,
                                          Schema& node) {
    const auto arguments = tokens.Arguments();
    if (!arguments.ok()) {
      return absl::InvalidArgumentError(
          base::StrCat(word, ": ", base::ToStd(arguments.status().message())));
    }
    const bool list = node.type == FieldType::kList;
    if (word == "key") {
      if (!list) return absl::InvalidArgumentError("key is for lists");
      node.list_kind = Schema::ListKind::kMap;
      node.map_keys = *arguments;
      return absl::OkStatus();
    }
    const absl::Status no_number = absl::InvalidArgumentError(base::StrCat(word, ": not a number"));
    if (word == "min" || word == "max") {
      double number = 0;
      if (!ParseNumber(*arguments, number)) return no_number;
      if (list) {
        (word == "min" ? node.min_items : node.max_items) = static_cast<int64_t>(number);
      } else {
        (word == "min" ? node.minimum : node.maximum) = number;
      }
      return absl::OkStatus();
    }
    // Of lists and maps they mean the items.
    Schema& scalar = node.items == nullptr ? node : const_cast<Schema&>(*node.items);
    if (word == "enum") {
      scalar.enum_values = *arguments;
    } else if (word == "pattern") {
      if (arguments->size() != 1) return absl::InvalidArgumentError("pattern: takes one text");
      scalar.pattern = arguments->front();
      KEEL_ASSIGN_OR_RETURN(scalar.compiled_pattern, Pattern::Compile(scalar.pattern));
    } else {
      int64_t length = 0;
      if (!ParseNumber(*arguments, length)) return no_number;
      (word == "minlen" ? scalar.min_length : scalar.max_length) = length;
    }
    return absl::OkStatus();
  }

  absl::Status ParseFields(const FieldText& text, std::string_view scope, Schema& type) {
    SchemaTokens tokens(text.text);
    while (!tokens.done()) {
      Field field;
      field.name = tokens.Word();
      if (field.name.empty()) {
        return absl::InvalidArgumentError(
            base::StrCat("expected the name of a field, found: ", tokens.left()));
      }
      field.required = tokens.Take('!');
      field.empty_is_missing = field.required;
      auto parsed = ParseType(tokens, scope, text.line);
      if (!parsed.ok()) {
        return absl::InvalidArgumentError(
            base::StrCat(field.name, ": ", base::ToStd(parsed.status().message())));
      }
      bool modified = false;
      while (true) {
        SchemaTokens ahead = tokens;
        if (ahead.Take('=')) {
          KEEL_ASSIGN_OR_RETURN(parsed->node->default_value, ahead.Json());
        } else {
          const std::string_view word = ahead.Word();
          if (!IsModifier(word)) break;
          if (absl::Status s = ParseModifier(word, ahead, *parsed->node); !s.ok()) {
            return absl::InvalidArgumentError(
                base::StrCat(field.name, ": ", base::ToStd(s.message())));
          }
        }
        modified = true;
        tokens = ahead;
      }
      for (const Field& other : type.fields) {
        if (other.name == field.name) {
          return absl::InvalidArgumentError(base::StrCat("a second field ", field.name));
        }
      }
      field.schema = parsed->node;
      if (tokens.done()) field.description = text.comment;
      type.fields.push_back(std::move(field));
      if (parsed->reference.empty()) continue;
      // The slot is known once all fields have their places: Add fixes it up.
      references.push_back({nullptr, modified ? parsed->node : nullptr, parsed->reference,
                            std::string(scope), text.line});
      unplaced.emplace_back(references.size() - 1, type.fields.size() - 1);
    }
    return absl::OkStatus();
  }
  std::vector<std::pair<size_t, size_t>> unplaced;  // reference, field of the type being parsed

  absl::Status AddType(const TypeText& text, std::string_view scope) {
    Schema* type = NewNode(FieldType::kObject);
    type->name = text.name;
    type->scope = scope;
    type->description = text.comment;
    SchemaTokens modifiers(text.modifiers);
    while (!modifiers.done()) {
      const std::string_view word = modifiers.Word();
      if (word != "atomic" && word != "preserve" && word != "retainkeys") {
        return SchemaTextError(text.line, base::StrCat("no modifier of a type: ", text.modifiers));
      }
      KEEL_RETURN_IF_ERROR(ParseModifier(word, modifiers, *type));
    }
    if (!types.emplace(Key(scope, text.name), type).second) {
      return SchemaTextError(text.line, base::StrCat("a second type ", text.name));
    }
    unplaced.clear();
    for (const FieldText& field : text.fields) {
      absl::Status parsed = ParseFields(field, scope, *type);
      if (!parsed.ok()) return WithLine(field.line, parsed);
    }
    for (const auto& [reference, field] : unplaced) {
      if (references[reference].node == nullptr) {
        references[reference].slot = &type->fields[field].schema;
      }
    }
    return absl::OkStatus();
  }

  // A node with modifiers: the type it names, and what the modifiers said.
  static void CopyType(const Schema& type, Schema& node) {
    const Schema modifiers = std::move(node);
    node = type;
    node.nullable = modifiers.nullable;
    node.immutable = modifiers.immutable;
    node.default_value = modifiers.default_value;
    node.preserve_unknown |= modifiers.preserve_unknown;
    node.retain_keys |= modifiers.retain_keys;
    node.atomic |= modifiers.atomic;
  }

  // Types contain each other, so what is below is found by repeating until nothing changes.
  void FindWhatIsBelow() {
    for (Schema& node : nodes) {
      node.has_defaults = node.default_value.has_value();
      node.has_immutable = node.immutable;
    }
    bool changed = true;
    auto join = [&changed](bool& of, bool below) {
      if (below && !of) of = changed = true;
    };
    while (changed) {
      changed = false;
      for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
        if (node->items != nullptr) {
          join(node->has_defaults, node->items->has_defaults);
          join(node->has_immutable, node->items->has_immutable);
        }
        for (const Field& field : node->fields) {
          join(node->has_defaults, field.schema->has_defaults);
          join(node->has_immutable, field.schema->has_immutable);
        }
      }
    }
  }
};

TypeRegistry::TypeRegistry() : impl_(std::make_unique<Impl>()) {}
TypeRegistry::~TypeRegistry() = default;

absl::Status TypeRegistry::Add(std::string_view text, std::string_view scope) {
  KEEL_CHECK(!impl_->resolved);
  KEEL_ASSIGN_OR_RETURN(const std::vector<TypeText> types, SplitSchemaText(text));
  for (const TypeText& type : types) {
    absl::Status added = impl_->AddType(type, scope);
    if (!added.ok()) {
      return absl::InvalidArgumentError(
          base::StrCat("type ", type.name, ", ", base::ToStd(added.message())));
    }
  }
  return absl::OkStatus();
}

absl::Status TypeRegistry::MakeTop(std::string_view type, std::string_view scope) {
  KEEL_CHECK(!impl_->resolved);
  const auto found = impl_->types.find(Impl::Key(scope, type));
  if (found == impl_->types.end()) {
    return absl::InvalidArgumentError(base::StrCat("no type ", type, " in the schema of its kind"));
  }
  Schema& top = *found->second;
  std::vector<Field> fields;
  fields.push_back({"apiVersion",
                    "The version of the schema in which this object is written: GROUP/VERSION.",
                    impl_->NewNode(FieldType::kString)});
  fields.push_back(
      {"kind", "What this object is, in CamelCase.", impl_->NewNode(FieldType::kString)});
  fields.push_back(
      {"metadata", "What every object has: its name, labels, owners and the like.", nullptr});
  std::move(top.fields.begin(), top.fields.end(), std::back_inserter(fields));
  // References into the fields move along.
  for (Impl::Reference& reference : impl_->references) {
    for (size_t i = 0; i < top.fields.size(); ++i) {
      if (reference.slot == &top.fields[i].schema) {
        reference.slot = &fields[i + 3].schema;
        break;
      }
    }
  }
  top.fields = std::move(fields);
  impl_->references.push_back({&top.fields[2].schema, nullptr, "ObjectMeta", "", 0});
  return absl::OkStatus();
}

absl::Status TypeRegistry::Resolve() {
  KEEL_CHECK(!impl_->resolved);
  for (Impl::Reference& reference : impl_->references) {
    const Schema* type = impl_->Find(reference.type, reference.scope);
    if (type == nullptr) {
      return SchemaTextError(reference.line,
                             base::StrCat("nobody describes the type ", reference.type,
                                          reference.scope.empty() ? "" : " for ", reference.scope));
    }
    if (reference.slot != nullptr) *reference.slot = type;
  }
  // Types are complete only now.
  for (Impl::Reference& reference : impl_->references) {
    if (reference.node == nullptr) continue;
    Impl::CopyType(*impl_->Find(reference.type, reference.scope), *reference.node);
  }
  impl_->references.clear();
  impl_->FindWhatIsBelow();
  impl_->resolved = true;
  return absl::OkStatus();
}

const Schema* TypeRegistry::FindType(std::string_view name, std::string_view scope) const {
  return impl_->Find(name, scope);
}

std::vector<const Schema*> TypeRegistry::Types() const {
  std::vector<const Schema*> types;
  for (const auto& [key, type] : impl_->types) types.push_back(type);
  std::sort(types.begin(), types.end(), [](const Schema* a, const Schema* b) {
    return std::tie(a->scope, a->name) < std::tie(b->scope, b->name);
  });
  return types;
}

const Field* Schema::FindField(std::string_view field) const {
  for (const Field& one : fields) {
    if (one.name == field) return &one;
  }
  return nullptr;
}

}  // namespace keel::orchestrator
