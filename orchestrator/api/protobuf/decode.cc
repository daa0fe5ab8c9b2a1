#include "orchestrator/api/protobuf/decode.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/protobuf/message_types.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using Shape = MessageField::Shape;
using Type = MessageField::Type;

constexpr std::string_view kMagic{"k8s\0", 4};
constexpr int kMaxDepth = 64;

// One field of a message as it lies on the wire.
struct WireField {
  uint32_t number = 0;
  WireFormatLite::WireType type = WireFormatLite::WIRETYPE_VARINT;
  uint64_t value = 0;        // varint, fixed
  std::string_view bytes{};  // length-delimited
};

// The fields of one message, one after the other.
class WireReader {
 public:
  explicit WireReader(std::string_view message)
      : message_(message),
        in_(reinterpret_cast<const uint8_t*>(message.data()), static_cast<int>(message.size())) {}

  // False at the end, and when the message is damaged (ok() tells).
  bool Next(WireField& field) {
    const uint32_t tag = in_.ReadTag();
    if (tag == 0) {
      ok_ = in_.ConsumedEntireMessage();
      return false;
    }
    field.number = WireFormatLite::GetTagFieldNumber(tag);
    field.type = WireFormatLite::GetTagWireType(tag);
    switch (field.type) {
      case WireFormatLite::WIRETYPE_VARINT:
        return Check(in_.ReadVarint64(&field.value));
      case WireFormatLite::WIRETYPE_FIXED64:
        return Check(in_.ReadLittleEndian64(&field.value));
      case WireFormatLite::WIRETYPE_FIXED32: {
        uint32_t value = 0;
        const bool read = in_.ReadLittleEndian32(&value);
        field.value = value;
        return Check(read);
      }
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
        uint32_t size = 0;
        if (!in_.ReadVarint32(&size)) return Check(false);
        const auto at = static_cast<size_t>(in_.CurrentPosition());
        if (size > message_.size() - at || !in_.Skip(static_cast<int>(size))) return Check(false);
        field.bytes = message_.substr(at, size);
        return true;
      }
      default:
        return Check(false);  // groups: nobody sends them
    }
  }
  bool ok() const { return ok_; }

 private:
  bool Check(bool read) {
    ok_ = read;
    return read;
  }

  std::string_view message_;
  CodedInputStream in_;
  bool ok_ = true;
};

class Decoder {
 public:
  // False when the bytes are no such message; error() says where.
  bool Message(std::string_view type, std::string_view bytes, json::object& out) {
    const std::vector<MessageField>* fields = MessageTypes::Get().Find(type);
    if (fields == nullptr) return true;  // of a later version, and thus unknown
    if (++depth_ > kMaxDepth) return Fail("nested too deep");
    WireReader reader(bytes);
    WireField wire;
    while (reader.Next(wire)) {
      const auto field =
          std::find_if(fields->begin(), fields->end(),
                       [&wire](const MessageField& one) { return one.number == wire.number; });
      if (field != fields->end() && !Take(*field, wire, out)) {
        if (!located_) error_ = base::StrCat(type, ".", field->name, ": ", error_);
        located_ = true;
        return false;
      }
    }
    --depth_;
    return reader.ok() || Fail(base::StrCat("damaged message ", type));
  }

  const std::string& error() const { return error_; }

 private:
  bool Fail(std::string why) {
    error_ = std::move(why);
    return false;
  }

  bool Take(const MessageField& field, const WireField& wire, json::object& out) {
    if (field.name.empty()) {
      return wire.type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED
                 ? Message(field.message, wire.bytes, out)
                 : Fail("wrong wire type");
    }
    switch (field.shape) {
      case Shape::kOne: {
        json::value value;
        if (!Value(field, wire, value)) return false;
        if (!field.omit_zero || !IsZero(value)) out[field.name] = std::move(value);
        return true;
      }
      case Shape::kList:
        return Append(field, wire, List(out, field.name));
      case Shape::kMap:
      case Shape::kMapOfLists:
        return Entry(field, wire, out);
    }
    return false;
  }

  static json::array& List(json::object& out, std::string_view name) {
    json::value& list = out[name];
    if (!list.is_array()) list = json::array();
    return list.get_array();
  }

  bool Append(const MessageField& field, const WireField& wire, json::array& list) {
    if (field.type == Type::kInt && wire.type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      CodedInputStream in(reinterpret_cast<const uint8_t*>(wire.bytes.data()),
                          static_cast<int>(wire.bytes.size()));
      while (in.CurrentPosition() < static_cast<int>(wire.bytes.size())) {
        uint64_t value = 0;
        if (!in.ReadVarint64(&value)) return Fail("damaged packed list");
        list.push_back(static_cast<int64_t>(value));
      }
      return true;
    }
    json::value value;
    if (!Value(field, wire, value)) return false;
    list.push_back(std::move(value));
    return true;
  }

  // A map is a list of messages with the key as field 1 and the value as field 2.
  bool Entry(const MessageField& field, const WireField& wire, json::object& out) {
    if (wire.type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) return Fail("wrong wire type");
    json::value& map = out[field.name];
    if (!map.is_object()) map = json::object();
    std::string key;
    json::value value;
    bool valued = false;
    WireReader reader(wire.bytes);
    WireField part;
    while (reader.Next(part)) {
      if (part.number == 1) {
        key = std::string(part.bytes);
      } else if (part.number == 2) {
        valued = true;
        if (field.shape == Shape::kMap) {
          if (!Value(field, part, value)) return false;
        } else if (!Items(field, part.bytes, value)) {
          return false;
        }
      }
    }
    if (!reader.ok()) return Fail("damaged map entry");
    if (!valued && field.type == Type::kString && field.shape == Shape::kMap) value = "";
    map.get_object()[key] = std::move(value);
    return true;
  }

  // A list as the value of a map: a message with the items as field 1.
  bool Items(const MessageField& field, std::string_view bytes, json::value& out) {
    json::array items;
    WireReader reader(bytes);
    WireField item;
    while (reader.Next(item)) {
      if (item.number == 1 && !Append(field, item, items)) return false;
    }
    out = std::move(items);
    return reader.ok() || Fail("damaged list");
  }

  bool Value(const MessageField& field, const WireField& wire, json::value& out) {
    const bool is_bytes = wire.type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    switch (field.type) {
      case Type::kInt:
        if (wire.type != WireFormatLite::WIRETYPE_VARINT) return Fail("wrong wire type");
        out = static_cast<int64_t>(wire.value);
        return true;
      case Type::kBool:
        if (wire.type != WireFormatLite::WIRETYPE_VARINT) return Fail("wrong wire type");
        out = wire.value != 0;
        return true;
      case Type::kDouble: {
        if (wire.type != WireFormatLite::WIRETYPE_FIXED64) return Fail("wrong wire type");
        double number = 0;
        static_assert(sizeof(number) == sizeof(wire.value));
        std::memcpy(&number, &wire.value, sizeof(number));
        out = number;
        return true;
      }
      default:
        break;
    }
    if (!is_bytes) return Fail("wrong wire type");
    switch (field.type) {
      case Type::kString:
        out = wire.bytes;
        return true;
      case Type::kBytes:
        out = absl::Base64Escape(base::ToAbsl(wire.bytes));
        return true;
      case Type::kMessage:
        out = json::object();
        return Message(field.message, wire.bytes, out.get_object());
      case Type::kTime:
      case Type::kMicroTime:
        return Time(wire.bytes, field.type == Type::kMicroTime, out);
      case Type::kQuantity:
        return Quantity(wire.bytes, out);
      case Type::kIntOrString:
        return IntOrString(wire.bytes, out);
      case Type::kRaw:
        return Raw(wire.bytes, out);
      default:
        return Fail("wrong wire type");
    }
  }

  bool Time(std::string_view bytes, bool micro, json::value& out) {
    int64_t seconds = 0, nanos = 0;
    bool any = false;
    if (!Each(bytes, [&](const WireField& part) {
          any = true;
          if (part.number == 1) seconds = static_cast<int64_t>(part.value);
          if (part.number == 2) nanos = static_cast<int32_t>(part.value);
        })) {
      return false;
    }
    if (!any) {
      out = nullptr;
      return true;
    }
    const absl::Time time = absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos);
    out = micro ? FormatMicroTime(time) : orchestrator::FormatTime(time);
    return true;
  }

  bool Quantity(std::string_view bytes, json::value& out) {
    out = "";
    return Each(bytes, [&out](const WireField& part) {
      if (part.number == 1) out = part.bytes;
    });
  }

  bool IntOrString(std::string_view bytes, json::value& out) {
    bool is_string = false;
    int64_t number = 0;
    std::string_view text;
    if (!Each(bytes, [&](const WireField& part) {
          if (part.number == 1) is_string = part.value != 0;
          if (part.number == 2) number = static_cast<int32_t>(part.value);
          if (part.number == 3) text = part.bytes;
        })) {
      return false;
    }
    if (is_string) {
      out = text;
    } else {
      out = number;
    }
    return true;
  }

  bool Raw(std::string_view bytes, json::value& out) {
    std::string_view text;
    if (!Each(bytes, [&text](const WireField& part) {
          if (part.number == 1) text = part.bytes;
        })) {
      return false;
    }
    if (text.empty()) {
      out = nullptr;
      return true;
    }
    auto parsed = ParseJson(text);
    if (!parsed.ok()) return Fail(std::string(base::ToStd(parsed.status().message())));
    out = *std::move(parsed);
    return true;
  }

  template <typename F>
  bool Each(std::string_view bytes, F&& f) {
    WireReader reader(bytes);
    WireField part;
    while (reader.Next(part)) f(part);
    return reader.ok() || Fail("damaged message");
  }

  static bool IsZero(const json::value& value) {
    switch (value.kind()) {
      case json::kind::null:
        return true;
      case json::kind::string:
        return value.get_string().empty();
      case json::kind::int64:
        return value.get_int64() == 0;
      case json::kind::bool_:
        return !value.get_bool();
      case json::kind::double_:
        return value.get_double() == 0;
      default:
        return false;  // objects are written, however empty
    }
  }

  int depth_ = 0;
  bool located_ = false;
  std::string error_;
};

// The message of a kind: those of a group lie in a package named by its first part.
std::string MessageOf(std::string_view api_version, std::string_view kind) {
  if (kind == "DeleteOptions") return "meta/v1.DeleteOptions";
  const size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return base::StrCat("core/", api_version, ".", kind);
  const std::string_view group = api_version.substr(0, std::min(slash, api_version.find('.')));
  return base::StrCat(group, api_version.substr(slash), ".", kind);
}

absl::Status Damaged(std::string_view why) {
  return BadRequest(base::StrCat("the body is no object in Kubernetes' protobuf form: ", why));
}

}  // namespace

absl::StatusOr<json::object> DecodeProtobuf(std::string_view body) {
  if (!body.starts_with(kMagic)) return Damaged("it does not begin with \"k8s\" and zero");
  std::string_view api_version, kind, raw, encoding;
  WireReader envelope(body.substr(kMagic.size()));
  WireField field;
  while (envelope.Next(field)) {
    if (field.number == 1) {
      WireReader type(field.bytes);
      WireField part;
      while (type.Next(part)) {
        if (part.number == 1) api_version = part.bytes;
        if (part.number == 2) kind = part.bytes;
      }
      if (!type.ok()) return Damaged("damaged type");
    } else if (field.number == 2) {
      raw = field.bytes;
    } else if (field.number == 3) {
      encoding = field.bytes;
    }
  }
  if (!envelope.ok()) return Damaged("damaged envelope");
  if (!encoding.empty()) return Damaged("its content is encoded once more");
  const std::string message = MessageOf(api_version, kind);
  if (MessageTypes::Get().Find(message) == nullptr) {
    return UnsupportedMediaType("application/json, application/yaml");
  }
  json::object out{{"kind", kind}, {"apiVersion", api_version}};
  Decoder decoder;
  if (!decoder.Message(message, raw, out)) return Damaged(decoder.error());
  // What reading JSON checks beyond its syntax, the encoding of texts, holds here too.
  auto checked = ParseJson(json::serialize(out));
  if (!checked.ok()) return Damaged("a text in it is not UTF-8");
  return std::move(checked->get_object());
}

}  // namespace keel::orchestrator
