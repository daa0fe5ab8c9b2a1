#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/data_check.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

std::string Base64(std::string_view text) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    const size_t have = std::min<size_t>(3, text.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < have ? static_cast<unsigned char>(text[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += k <= have ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

// stringData is only for writing: its values go to data.
void SetDefaults(json::object& object) {
  SetDefault(object, "type", "Opaque");
  const json::value* texts = object.if_contains("stringData");
  if (texts == nullptr) return;
  if (const json::object* map = texts->if_object(); map != nullptr && !map->empty()) {
    json::value& data = object["data"];
    if (!data.is_object()) data = json::object();
    for (const auto& [key, value] : json::object(*map)) {
      if (const json::string* text = value.if_string()) {
        data.get_object()[key] = Base64(View(*text));
      }
    }
  }
  object.erase("stringData");
}

void Require(const json::object& object, std::string_view key, FieldErrors& errors) {
  if (!ObjectAt(object, {"data"}).contains(json::string_view(key.data(), key.size()))) {
    errors.Required("data[" + std::string(key) + "]", "");
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  CheckData(object, {"data"}, errors);
  const std::string_view type = StringAt(object, {"type"});
  if (type == "kubernetes.io/service-account-token") {
    if (StringAt(object, {"metadata", "annotations", "kubernetes.io/service-account.name"})
            .empty()) {
      errors.Required("metadata.annotations[kubernetes.io/service-account.name]", "");
    }
  } else if (type == "kubernetes.io/dockercfg") {
    Require(object, ".dockercfg", errors);
  } else if (type == "kubernetes.io/dockerconfigjson") {
    Require(object, ".dockerconfigjson", errors);
  } else if (type == "kubernetes.io/basic-auth") {
    const json::object& data = ObjectAt(object, {"data"});
    if (!data.contains("username") && !data.contains("password")) {
      errors.Required("data[username]", "");
      errors.Required("data[password]", "");
    }
  } else if (type == "kubernetes.io/ssh-auth") {
    if (StringAt(object, {"data", "ssh-privatekey"}).empty()) {
      errors.Required("data[ssh-privatekey]", "");
    }
  } else if (type == "kubernetes.io/tls") {
    Require(object, "tls.crt", errors);
    Require(object, "tls.key", errors);
  }
}

}  // namespace

Kind SecretKind() {
  return {
      .version = "v1",
      .kind = "Secret",
      .plural = "secrets",
      .types = R"(
# Data that is kept from view: encrypted in the store, never in a log.
Secret {
  immutable   bool                      -- Once true, the data cannot be changed.
  data        {bytes}                   -- Bytes by name, base64.
  stringData  {string}                  -- Texts by name; only written, they become data.
  type        string = "Opaque"         -- What the data is for.
}
)",
      .columns = {TextColumn("Type", {"type"}),
                  CellColumn("Data", "integer", 0,
                             [](const json::object& object, absl::Time) -> json::value {
                               return ObjectAt(object, {"data"}).size();
                             }),
                  AgeColumn()},
      .selectable_fields = {"type"},
      .set_defaults = SetDefaults,
      .prepare = [](json::object& object,
                    const json::object* before) { KeepIfMissing(object, before, {"type"}); },
      .check = Check,
      .check_update =
          [](const json::object& object, const json::object& before, FieldErrors& errors) {
            if (StringAt(object, {"type"}) != StringAt(before, {"type"})) {
              errors.InvalidValue("type", *Find(object, {"type"}), "field is immutable");
            }
            CheckImmutableData(object, before, {"data"}, errors);
          },
  };
}

}  // namespace keel::orchestrator
