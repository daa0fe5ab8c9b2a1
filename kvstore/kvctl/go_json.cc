#include "kvstore/kvctl/go_json.h"

#include <google/protobuf/descriptor.h>

#include <cctype>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "kvstore/kvctl/go_format.h"

namespace keel::kvctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// response_range → ResponseRange
std::string GoName(std::string_view name) {
  std::string out;
  bool up = true;
  for (const char c : name) {
    if (c == '_') {
      up = true;
      continue;
    }
    out += up ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    up = false;
  }
  return out;
}

// One value; `index` -1: of a field that is not repeated.
std::string Value(const Message& message, const FieldDescriptor* field, int index) {
  const auto* r = message.GetReflection();
  const bool repeated = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(repeated ? r->GetRepeatedInt32(message, field, index)
                                   : r->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(repeated ? r->GetRepeatedInt64(message, field, index)
                                   : r->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(repeated ? r->GetRepeatedUInt32(message, field, index)
                                   : r->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(repeated ? r->GetRepeatedUInt64(message, field, index)
                                   : r->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? r->GetRepeatedBool(message, field, index) : r->GetBool(message, field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat(repeated ? r->GetRepeatedEnumValue(message, field, index)
                                   : r->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const std::string& text = repeated
                                    ? r->GetRepeatedStringReference(message, field, index, &scratch)
                                    : r->GetStringReference(message, field, &scratch);
      return field->type() == FieldDescriptor::TYPE_BYTES ? "\"" + Base64(text) + "\""
                                                          : JsonString(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return GoJson(repeated ? r->GetRepeatedMessage(message, field, index)
                             : r->GetMessage(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      break;
  }
  KEEL_CHECK(false, "etcd's API has no field like ", field->full_name());
  return "";
}

}  // namespace

std::string GoJsonFields(const Message& message) {
  const auto* descriptor = message.GetDescriptor();
  const auto* r = message.GetReflection();
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    if (!out.empty()) out += ",";
    out.append("\"").append(name).append("\":").append(value);
  };
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->is_repeated()) {
      const int size = r->FieldSize(message, field);
      if (size == 0) continue;
      std::string list = "[";
      for (int k = 0; k < size; ++k) {
        if (k > 0) list += ",";
        list += Value(message, field, k);
      }
      add(field->name(), list + "]");
    } else if (r->HasField(message, field)) {
      if (const auto* oneof = field->real_containing_oneof()) {
        add(GoName(oneof->name()),
            "{\"" + GoName(field->name()) + "\":" + Value(message, field, -1) + "}");
      } else {
        add(field->name(), Value(message, field, -1));
      }
    }
  }
  return out;
}

std::string GoJson(const Message& message) { return "{" + GoJsonFields(message) + "}"; }

}  // namespace keel::kvctl
