#include "orchestrator/apiserver/access/rules.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/strings.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

std::vector<std::string> Texts(const json::value& rule, std::string_view field) {
  std::vector<std::string> out;
  for (const json::value& text : ArrayAt(rule, {field})) {
    if (text.is_string()) out.emplace_back(View(text.get_string()));
  }
  return out;
}

bool Has(const std::vector<std::string>& in, std::string_view what) {
  for (const std::string& one : in) {
    if (one == what) return true;
  }
  return false;
}

bool HasOrAll(const std::vector<std::string>& in, std::string_view what) {
  for (const std::string& one : in) {
    if (one == "*" || one == what) return true;
  }
  return false;
}

// "pods/log" without putting it together.
bool IsJoined(std::string_view text, std::string_view resource, std::string_view subresource) {
  return text.size() == resource.size() + 1 + subresource.size() && text.starts_with(resource) &&
         text[resource.size()] == '/' && text.ends_with(subresource);
}

bool ResourceMatches(const PolicyRule& rule, std::string_view resource,
                     std::string_view subresource) {
  for (const std::string& one : rule.resources) {
    if (one == "*") return true;
    if (subresource.empty()
            ? one == resource
            : IsJoined(one, resource, subresource) || IsJoined(one, "*", subresource)) {
      return true;
    }
  }
  return false;
}

bool UrlMatches(const std::vector<std::string>& urls, std::string_view path) {
  for (const std::string& url : urls) {
    if (url == "*" || url == path) return true;
    if (url.ends_with('*') && path.starts_with(std::string_view(url).substr(0, url.size() - 1))) {
      return true;
    }
  }
  return false;
}

// `wanted` names one thing of each sort (MissingRules breaks rules down to that).
bool CoversOne(const PolicyRule& held, const PolicyRule& wanted) {
  if (!HasOrAll(held.verbs, wanted.verbs[0])) return false;
  if (!wanted.non_resource_urls.empty()) {
    return UrlMatches(held.non_resource_urls, wanted.non_resource_urls[0]);
  }
  if (!HasOrAll(held.api_groups, wanted.api_groups[0])) return false;
  const std::string_view resource = wanted.resources[0];
  const size_t slash = resource.find('/');
  const bool matches =
      slash == std::string_view::npos
          ? HasOrAll(held.resources, resource)
          : ResourceMatches(held, resource.substr(0, slash), resource.substr(slash + 1));
  if (!matches) return false;
  if (held.resource_names.empty()) return true;
  return !wanted.resource_names.empty() && Has(held.resource_names, wanted.resource_names[0]);
}

json::array Array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

std::string Quoted(std::string_view text) { return ToJson(json::value(json::string(text))); }

}  // namespace

std::string QuotedList(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    out += Quoted(text);
  }
  return out + "]";
}

json::object PolicyRule::ToJson() const {
  json::object out;
  out["verbs"] = Array(verbs);
  if (!api_groups.empty()) out["apiGroups"] = Array(api_groups);
  if (!resources.empty()) out["resources"] = Array(resources);
  if (!resource_names.empty()) out["resourceNames"] = Array(resource_names);
  if (!non_resource_urls.empty()) out["nonResourceURLs"] = Array(non_resource_urls);
  return out;
}

PolicyRules ParseRules(const json::array& rules) {
  PolicyRules out;
  out.reserve(rules.size());
  for (const json::value& rule : rules) {
    out.push_back({.verbs = Texts(rule, "verbs"),
                   .api_groups = Texts(rule, "apiGroups"),
                   .resources = Texts(rule, "resources"),
                   .resource_names = Texts(rule, "resourceNames"),
                   .non_resource_urls = Texts(rule, "nonResourceURLs")});
  }
  return out;
}

json::array RulesToJson(const PolicyRules& rules) {
  json::array out;
  for (const PolicyRule& rule : rules) out.emplace_back(rule.ToJson());
  return out;
}

bool Allows(const PolicyRule& rule, const Attributes& attributes) {
  if (!HasOrAll(rule.verbs, attributes.verb)) return false;
  if (!attributes.is_resource) return UrlMatches(rule.non_resource_urls, attributes.path);
  return HasOrAll(rule.api_groups, attributes.group) &&
         ResourceMatches(rule, attributes.resource, attributes.subresource) &&
         (rule.resource_names.empty() || Has(rule.resource_names, attributes.name));
}

std::string Describe(const PolicyRule& rule) {
  std::string out = "{";
  const auto add = [&](std::string_view name, const std::vector<std::string>& texts) {
    if (texts.empty()) return;
    out += StrCat(out.size() > 1 ? ", " : "", name, ":", QuotedList(texts));
  };
  add("APIGroups", rule.api_groups);
  add("Resources", rule.resources);
  add("NonResourceURLs", rule.non_resource_urls);
  add("ResourceNames", rule.resource_names);
  add("Verbs", rule.verbs);
  return out + "}";
}

std::vector<std::string> MissingRules(const PolicyRules& held, const PolicyRules& wanted) {
  // By group, resource and name: the verbs that are missing for it.
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<std::string>> resources;
  std::map<std::string, std::vector<std::string>> urls;
  const auto covered = [&held](const PolicyRule& one) {
    return std::any_of(held.begin(), held.end(),
                       [&one](const PolicyRule& rule) { return CoversOne(rule, one); });
  };
  const auto add = [](std::vector<std::string>& verbs, const std::string& verb) {
    if (!Has(verbs, verb)) verbs.push_back(verb);
  };
  for (const PolicyRule& rule : wanted) {
    const std::vector<std::string> names =
        rule.resource_names.empty() ? std::vector<std::string>{""} : rule.resource_names;
    for (const std::string& verb : rule.verbs) {
      for (const std::string& group : rule.api_groups) {
        for (const std::string& resource : rule.resources) {
          for (const std::string& name : names) {
            PolicyRule one{.verbs = {verb}, .api_groups = {group}, .resources = {resource}};
            if (!name.empty()) one.resource_names = {name};
            if (!covered(one)) add(resources[{group, resource, name}], verb);
          }
        }
      }
      for (const std::string& url : rule.non_resource_urls) {
        if (!covered({.verbs = {verb}, .non_resource_urls = {url}})) add(urls[url], verb);
      }
    }
  }
  std::vector<std::string> out;
  for (const auto& [what, verbs] : resources) {
    const auto& [group, resource, name] = what;
    PolicyRule rule{.verbs = verbs, .api_groups = {group}, .resources = {resource}};
    if (!name.empty()) rule.resource_names = {name};
    out.push_back(Describe(rule));
  }
  for (const auto& [url, verbs] : urls) {
    out.push_back(Describe({.verbs = verbs, .non_resource_urls = {url}}));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace keel::orchestrator
