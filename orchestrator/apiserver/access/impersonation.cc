#include "orchestrator/apiserver/access/impersonation.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kExtra = "impersonate-extra-";
constexpr std::string_view kServiceAccount = "system:serviceaccount:";

int HexOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexOf(text[i + 1]) >= 0 &&
        HexOf(text[i + 2]) >= 0) {
      out += static_cast<char>(HexOf(text[i + 1]) * 16 + HexOf(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

void AddOnce(std::vector<std::string>& to, std::string_view text) {
  if (std::find(to.begin(), to.end(), text) == to.end()) to.emplace_back(text);
}

}  // namespace

absl::StatusOr<User> ImpersonatedUser(
    User asker, const std::vector<std::pair<std::string, std::string>>& headers,
    UnionAuthorizer& authorizer) {
  User user;
  bool any = false;
  for (const auto& [name, value] : headers) {
    if (!name.starts_with("impersonate-")) continue;
    any = true;
    if (name == "impersonate-user") {
      user.name = value;
    } else if (name == "impersonate-group") {
      user.groups.push_back(value);
    } else if (name == "impersonate-uid") {
      user.uid = value;
    } else if (name.starts_with(kExtra)) {
      const std::string key = Unescaped(std::string_view(name).substr(kExtra.size()));
      const auto there = std::find_if(user.extra.begin(), user.extra.end(),
                                      [&key](const auto& extra) { return extra.first == key; });
      if (there == user.extra.end()) {
        user.extra.emplace_back(key, std::vector<std::string>{value});
      } else {
        there->second.push_back(value);
      }
    }
  }
  if (!any) return asker;
  if (user.name.empty()) {
    return BadRequest("requested a group, uid or extra without impersonating a user");
  }
  Attributes attributes{.user = std::move(asker), .verb = "impersonate", .version = "v1"};
  const auto may = [&](std::string_view group, std::string_view resource,
                       std::string_view subresource, std::string_view ns, std::string_view name) {
    attributes.group = group;
    attributes.resource = resource;
    attributes.subresource = subresource;
    attributes.ns = ns;
    attributes.name = name;
    return authorizer.Authorize(attributes);
  };
  const std::string_view name = user.name;
  bool is_account = false;
  if (name.starts_with(kServiceAccount)) {
    const std::string_view rest = name.substr(kServiceAccount.size());
    const size_t colon = rest.find(':');
    if (colon != std::string_view::npos) {
      is_account = true;
      const std::string_view ns = rest.substr(0, colon);
      KEEL_RETURN_IF_ERROR(may("", "serviceaccounts", "", ns, rest.substr(colon + 1)));
      if (user.groups.empty()) {
        user.groups = {"system:serviceaccounts", StrCat("system:serviceaccounts:", ns)};
      } else {
        for (const std::string& group : user.groups) {
          KEEL_RETURN_IF_ERROR(may("", "groups", "", "", group));
        }
      }
    }
  }
  if (!is_account) {
    KEEL_RETURN_IF_ERROR(may("", "users", "", "", name));
    for (const std::string& group : user.groups) {
      KEEL_RETURN_IF_ERROR(may("", "groups", "", "", group));
    }
  }
  if (!user.uid.empty()) {
    KEEL_RETURN_IF_ERROR(may("authentication.k8s.io", "uids", "", "", user.uid));
  }
  for (const auto& [key, values] : user.extra) {
    for (const std::string& value : values) {
      KEEL_RETURN_IF_ERROR(may("authentication.k8s.io", "userextras", key, "", value));
    }
  }
  if (name == "system:anonymous") {
    AddOnce(user.groups, "system:unauthenticated");
  } else if (std::find(user.groups.begin(), user.groups.end(), "system:unauthenticated") ==
             user.groups.end()) {
    AddOnce(user.groups, "system:authenticated");
  }
  return user;
}

}  // namespace keel::orchestrator
