#include "orchestrator/api/openapi_proto.h"

#include <cstring>

namespace keel::orchestrator {
namespace {

std::string_view Text(json::string_view text) { return {text.data(), text.size()}; }

// Protobuf's wire format: a tag of field number and type before each value.
class Message {
 public:
  void String(int field, std::string_view value) {
    Tag(field, 2);
    Varint(value.size());
    out_ += value;
  }
  void Bool(int field, bool value) {
    if (!value) return;
    Tag(field, 0);
    Varint(1);
  }
  void Int(int field, int64_t value) {
    Tag(field, 0);
    Varint(static_cast<uint64_t>(value));
  }
  void Double(int field, double value) {
    Tag(field, 1);
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; ++i) out_ += static_cast<char>(bits >> (8 * i));
  }
  void Sub(int field, const Message& message) { String(field, message.out_); }

  std::string Take() { return std::move(out_); }

  // Members of JSON, if they are there.
  void StringOf(int field, const json::object& from, std::string_view name) {
    if (const std::string_view value = StringAt(from, {name}); !value.empty()) String(field, value);
  }
  void BoolOf(int field, const json::object& from, std::string_view name) {
    Bool(field, BoolAt(from, {name}));
  }
  void NumberOf(int field, const json::object& from, std::string_view name) {
    const json::value* value = Find(from, {name});
    if (value != nullptr && value->is_number()) Double(field, value->to_number<double>());
  }
  void IntOf(int field, const json::object& from, std::string_view name) {
    const json::value* value = Find(from, {name});
    if (value != nullptr && value->is_int64()) Int(field, value->get_int64());
  }
  void StringsOf(int field, const json::object& from, std::string_view name) {
    for (const json::value& value : ArrayAt(from, {name})) {
      if (value.is_string()) String(field, View(value.get_string()));
    }
  }

 private:
  void Tag(int field, int wire_type) { Varint(static_cast<uint64_t>(field) << 3 | wire_type); }
  void Varint(uint64_t value) {
    while (value >= 0x80) {
      out_ += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out_ += static_cast<char>(value);
  }

  std::string out_;
};

// Any { yaml = 2 }
Message Any(const json::value& value) {
  Message any;
  any.String(2, ToJson(value) + "\n");
  return any;
}

// NamedX { name = 1, value = 2 }
Message Named(std::string_view name, const Message& value) {
  Message named;
  named.String(1, name);
  named.Sub(2, value);
  return named;
}

void Extensions(int field, const json::object& from, Message& to) {
  for (const auto& member : from) {
    if (Text(member.key()).substr(0, 2) != "x-") continue;
    to.Sub(field, Named(Text(member.key()), Any(member.value())));
  }
}

Message SchemaMessage(const json::object& schema) {
  Message out;
  out.StringOf(1, schema, "$ref");
  out.StringOf(2, schema, "format");
  out.StringOf(3, schema, "title");
  out.StringOf(4, schema, "description");
  if (const json::value* value = Find(schema, {"default"})) out.Sub(5, Any(*value));
  out.NumberOf(7, schema, "maximum");
  out.BoolOf(8, schema, "exclusiveMaximum");
  out.NumberOf(9, schema, "minimum");
  out.BoolOf(10, schema, "exclusiveMinimum");
  out.IntOf(11, schema, "maxLength");
  out.IntOf(12, schema, "minLength");
  out.StringOf(13, schema, "pattern");
  out.IntOf(14, schema, "maxItems");
  out.IntOf(15, schema, "minItems");
  out.StringsOf(19, schema, "required");
  for (const json::value& value : ArrayAt(schema, {"enum"})) out.Sub(20, Any(value));
  if (const json::value* more = Find(schema, {"additionalProperties"})) {
    Message item;
    if (more->is_object()) item.Sub(1, SchemaMessage(more->get_object()));
    if (more->is_bool()) item.Bool(2, more->get_bool());
    out.Sub(21, item);
  }
  if (const std::string_view type = StringAt(schema, {"type"}); !type.empty()) {
    Message item;
    item.String(1, type);
    out.Sub(22, item);
  }
  if (const json::value* items = Find(schema, {"items"}); items != nullptr && items->is_object()) {
    Message item;
    item.Sub(1, SchemaMessage(items->get_object()));
    out.Sub(23, item);
  }
  if (const json::value* properties = Find(schema, {"properties"})) {
    Message all;
    for (const auto& member : properties->get_object()) {
      all.Sub(1, Named(Text(member.key()), SchemaMessage(member.value().get_object())));
    }
    out.Sub(25, all);
  }
  Extensions(31, schema, out);
  return out;
}

// ParametersItem { parameter = 1 { body_parameter = 1 | non_body_parameter = 2 } }
Message ParameterMessage(const json::object& parameter) {
  Message of_kind;
  Message either;
  const std::string_view in = StringAt(parameter, {"in"});
  if (in == "body") {
    of_kind.StringOf(1, parameter, "description");
    of_kind.StringOf(2, parameter, "name");
    of_kind.String(3, in);
    of_kind.BoolOf(4, parameter, "required");
    if (const json::value* schema = Find(parameter, {"schema"})) {
      of_kind.Sub(5, SchemaMessage(schema->get_object()));
    }
    either.Sub(1, of_kind);
  } else {
    const bool query = in == "query";
    of_kind.BoolOf(1, parameter, "required");
    of_kind.String(2, in);
    of_kind.StringOf(3, parameter, "description");
    of_kind.StringOf(4, parameter, "name");
    // Path parameters have no allow_empty_value, which shifts the numbers by one.
    of_kind.StringOf(query ? 6 : 5, parameter, "type");
    Message non_body;
    non_body.Sub(query ? 3 : 4, of_kind);
    either.Sub(2, non_body);
  }
  Message item;
  item.Sub(1, either);
  return item;
}

Message ResponsesMessage(const json::object& responses) {
  Message out;
  for (const auto& member : responses) {
    const json::object& from = member.value().get_object();
    Message response;
    response.StringOf(1, from, "description");
    if (const json::value* schema = Find(from, {"schema"})) {
      Message item;
      item.Sub(1, SchemaMessage(schema->get_object()));
      response.Sub(2, item);
    }
    Message value;
    value.Sub(1, response);
    out.Sub(1, Named(Text(member.key()), value));
  }
  return out;
}

Message OperationMessage(const json::object& operation) {
  Message out;
  out.StringsOf(1, operation, "tags");
  out.StringOf(3, operation, "description");
  out.StringOf(5, operation, "operationId");
  out.StringsOf(6, operation, "produces");
  out.StringsOf(7, operation, "consumes");
  for (const json::value& parameter : ArrayAt(operation, {"parameters"})) {
    out.Sub(8, ParameterMessage(parameter.get_object()));
  }
  out.Sub(9, ResponsesMessage(ObjectAt(operation, {"responses"})));
  out.StringsOf(10, operation, "schemes");
  Extensions(13, operation, out);
  return out;
}

Message PathMessage(const json::object& path) {
  static constexpr std::pair<const char*, int> kMethods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  Message out;
  for (const auto& [method, field] : kMethods) {
    if (const json::value* operation = Find(path, {method})) {
      out.Sub(field, OperationMessage(operation->get_object()));
    }
  }
  for (const json::value& parameter : ArrayAt(path, {"parameters"})) {
    out.Sub(9, ParameterMessage(parameter.get_object()));
  }
  return out;
}

}  // namespace

std::string OpenApiV2ToProto(const json::object& document) {
  Message out;
  out.StringOf(1, document, "swagger");
  Message info;
  info.String(1, StringAt(document, {"info", "title"}));
  info.String(2, StringAt(document, {"info", "version"}));
  out.Sub(2, info);
  Message paths;
  for (const auto& member : ObjectAt(document, {"paths"})) {
    paths.Sub(2, Named(Text(member.key()), PathMessage(member.value().get_object())));
  }
  out.Sub(8, paths);
  Message definitions;
  for (const auto& member : ObjectAt(document, {"definitions"})) {
    definitions.Sub(1, Named(Text(member.key()), SchemaMessage(member.value().get_object())));
  }
  out.Sub(9, definitions);
  return out.Take();
}

}  // namespace keel::orchestrator
