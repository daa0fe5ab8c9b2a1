#include "orchestrator/api/protobuf/message_types.h"

#include <charconv>
#include <utility>

#include "base/check.h"

extern "C" {
extern const char keel_kubernetes_types[];
extern const char keel_kubernetes_types_end[];
}

namespace keel::orchestrator {
namespace {

// Cuts off what stands before `separator`, which goes too.
std::string_view Cut(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return head;
}

// "3=containers:[core/v1.Container?"
MessageField ParseField(std::string_view text) {
  using Type = MessageField::Type;
  using Shape = MessageField::Shape;
  static const auto& types = *new absl::flat_hash_map<std::string_view, Type>{
      {"string", Type::kString},     {"bytes", Type::kBytes},
      {"int", Type::kInt},           {"bool", Type::kBool},
      {"double", Type::kDouble},     {"Time", Type::kTime},
      {"Raw", Type::kRaw},           {"MicroTime", Type::kMicroTime},
      {"Quantity", Type::kQuantity}, {"IntOrString", Type::kIntOrString}};
  MessageField field;
  const std::string_view number = Cut(text, '=');
  const auto read = std::from_chars(number.data(), number.data() + number.size(), field.number);
  KEEL_CHECK(read.ec == std::errc());
  field.name = Cut(text, ':');
  if (field.name == "*") field.name = {};
  if (text.ends_with('!')) text.remove_suffix(1);
  if (text.ends_with('?')) {
    field.omit_zero = true;
    text.remove_suffix(1);
  }
  if (text.starts_with("{[")) {
    field.shape = Shape::kMapOfLists;
    text.remove_prefix(2);
  } else if (text.starts_with('[')) {
    field.shape = Shape::kList;
    text.remove_prefix(1);
  } else if (text.starts_with('{')) {
    field.shape = Shape::kMap;
    text.remove_prefix(1);
  }
  const auto known = types.find(text);
  field.type = known == types.end() ? Type::kMessage : known->second;
  if (field.type == Type::kMessage) field.message = text;
  return field;
}

}  // namespace

const MessageTypes& MessageTypes::Get() {
  static const auto& types = *new MessageTypes(
      std::string_view(keel_kubernetes_types,
                       static_cast<size_t>(keel_kubernetes_types_end - keel_kubernetes_types)));
  return types;
}

MessageTypes::MessageTypes(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = Cut(text, '\n');
    if (line.starts_with('#') || line.empty()) continue;
    std::vector<MessageField>& fields = messages_[Cut(line, ' ')];
    while (!line.empty()) fields.push_back(ParseField(Cut(line, ' ')));
  }
}

const std::vector<MessageField>* MessageTypes::Find(std::string_view message) const {
  const auto found = messages_.find(message);
  return found == messages_.end() ? nullptr : &found->second;
}

}  // namespace keel::orchestrator
