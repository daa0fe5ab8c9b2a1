#include "orchestrator/client/api_client.h"

#include "base/strings.h"

namespace keel::orchestrator {

std::string Resource::Path(std::string_view ns, std::string_view name,
                           std::string_view subresource) const {
  std::string path = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  if (!ns.empty()) path.append("/namespaces/").append(ns);
  path.append("/").append(plural);
  if (!name.empty()) path.append("/").append(name);
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

std::string QueryEscape(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

void ApiClient::Get(const Resource& r, std::string_view ns, std::string_view name, Done done) {
  Call("GET", r.Path(ns, name), {}, {}, std::move(done));
}

void ApiClient::List(const Resource& r, std::string_view ns, std::string_view query, Done done) {
  std::string path = r.Path(ns);
  if (!query.empty()) path.append("?").append(query);
  Call("GET", std::move(path), {}, {}, std::move(done));
}

void ApiClient::Create(const Resource& r, std::string_view ns, const json::value& object,
                       Done done) {
  Call("POST", r.Path(ns), "application/json", ToJson(object), std::move(done));
}

void ApiClient::Update(const Resource& r, std::string_view ns, std::string_view name,
                       const json::value& object, Done done) {
  Call("PUT", r.Path(ns, name), "application/json", ToJson(object), std::move(done));
}

void ApiClient::UpdateStatus(const Resource& r, std::string_view ns, std::string_view name,
                             const json::value& object, Done done) {
  Call("PUT", r.Path(ns, name, "status"), "application/json", ToJson(object), std::move(done));
}

void ApiClient::Patch(const Resource& r, std::string_view ns, std::string_view name,
                      std::string_view patch_type, const json::value& patch, Done done,
                      std::string_view subresource) {
  Call("PATCH", r.Path(ns, name, subresource), patch_type, ToJson(patch), std::move(done));
}

void ApiClient::Delete(const Resource& r, std::string_view ns, std::string_view name,
                       const json::value& options, Done done) {
  const bool none = options.is_null();
  Call("DELETE", r.Path(ns, name), none ? "" : "application/json",
       none ? std::string() : ToJson(options), std::move(done));
}

}  // namespace keel::orchestrator
