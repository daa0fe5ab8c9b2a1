#include "orchestrator/api/names.h"

#include <arpa/inet.h>

#include <initializer_list>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
bool IsLowerOrDigit(char c) { return IsLower(c) || IsDigit(c); }
bool IsAlnum(char c) { return IsLetter(c) || IsDigit(c); }

std::string TooLong(size_t max) { return base::StrCat("must be no more than ", max, " bytes"); }
constexpr char kEmpty[] = "must be non-empty";

std::string ByRegex(std::string_view message, std::string_view regex,
                    std::initializer_list<std::string_view> examples) {
  std::string out(message);
  out += " (e.g. ";
  bool first = true;
  for (std::string_view example : examples) {
    if (!first) out += " or ";
    first = false;
    out += base::StrCat("'", example, "', ");
  }
  return out + base::StrCat("regex used for validation is '", regex, "')");
}

bool LooksLikeLabel(std::string_view s) {
  if (s.empty() || !IsLowerOrDigit(s.front()) || !IsLowerOrDigit(s.back())) return false;
  for (char c : s) {
    if (!IsLowerOrDigit(c) && c != '-') return false;
  }
  return true;
}

bool LooksLikeSubdomain(std::string_view s) {
  for (;;) {
    const size_t dot = s.find('.');
    if (!LooksLikeLabel(s.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    s.remove_prefix(dot + 1);
  }
}

// [A-Za-z0-9][-A-Za-z0-9_.]*[A-Za-z0-9]
bool LooksLikeName(std::string_view s) {
  if (s.empty() || !IsAlnum(s.front()) || !IsAlnum(s.back())) return false;
  for (char c : s) {
    if (!IsAlnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

constexpr char kQualified[] = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
constexpr char kQualifiedRule[] =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character";

bool IsIp(std::string_view text) {
  in6_addr out;
  const std::string copy(text);
  return inet_pton(AF_INET, copy.c_str(), &out) == 1 ||
         inet_pton(AF_INET6, copy.c_str(), &out) == 1;
}

}  // namespace

Complaints CheckDns1123Label(std::string_view name) {
  Complaints out;
  if (name.size() > 63) out.push_back(TooLong(63));
  if (!LooksLikeLabel(name)) {
    out.push_back(
        ByRegex("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
                "'-', and must start and end with an alphanumeric character",
                "[a-z0-9]([-a-z0-9]*[a-z0-9])?", {"my-name", "123-abc"}));
  }
  return out;
}

Complaints CheckDns1123Subdomain(std::string_view name) {
  Complaints out;
  if (name.size() > 253) out.push_back(TooLong(253));
  if (!LooksLikeSubdomain(name)) {
    out.push_back(ByRegex(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
        "'.', and must start and end with an alphanumeric character",
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", {"example.com"}));
  }
  return out;
}

Complaints CheckDns1035Label(std::string_view name) {
  Complaints out;
  if (name.size() > 63) out.push_back(TooLong(63));
  if (!LooksLikeLabel(name) || !IsLower(name.front())) {
    out.push_back(
        ByRegex("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
                "with an alphabetic character, and end with an alphanumeric character",
                "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  }
  return out;
}

Complaints CheckPathSegment(std::string_view name) {
  if (name == "." || name == "..") return {base::StrCat("may not be '", name, "'")};
  Complaints out;
  for (char c : {'/', '%'}) {
    if (name.find(c) != std::string_view::npos) {
      out.push_back(base::StrCat("may not contain '", std::string(1, c), "'"));
    }
  }
  return out;
}

Complaints CheckQualifiedName(std::string_view name) {
  Complaints out;
  std::string_view part = name;
  if (const size_t slash = name.find('/'); slash != std::string_view::npos) {
    if (name.find('/', slash + 1) != std::string_view::npos) {
      return {ByRegex(base::StrCat("a qualified name ", kQualifiedRule), kQualified,
                      {"MyName", "my.name", "123-abc"}) +
              " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
    }
    const std::string_view prefix = name.substr(0, slash);
    part = name.substr(slash + 1);
    if (prefix.empty()) {
      out.push_back(base::StrCat("prefix part ", kEmpty));
    } else {
      for (const std::string& wrong : CheckDns1123Subdomain(prefix)) {
        out.push_back("prefix part " + wrong);
      }
    }
  }
  if (part.empty()) {
    out.push_back(base::StrCat("name part ", kEmpty));
  } else if (part.size() > 63) {
    out.push_back("name part " + TooLong(63));
  }
  if (!LooksLikeName(part)) {
    out.push_back(ByRegex(base::StrCat("name part ", kQualifiedRule), kQualified,
                          {"MyName", "my.name", "123-abc"}));
  }
  return out;
}

Complaints CheckLabelValue(std::string_view value) {
  Complaints out;
  if (value.size() > 63) out.push_back(TooLong(63));
  if (!value.empty() && !LooksLikeName(value)) {
    out.push_back(ByRegex(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
        "'.', and must start and end with an alphanumeric character",
        "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", {"MyValue", "my_value", "12345"}));
  }
  return out;
}

Complaints CheckDataKey(std::string_view key) {
  Complaints out;
  if (key.size() > 253) out.push_back(TooLong(253));
  bool fine = !key.empty();
  for (char c : key) fine = fine && (IsAlnum(c) || c == '-' || c == '_' || c == '.');
  if (!fine) {
    out.push_back(
        ByRegex("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  }
  if (key == "." || key == "..") {
    out.push_back(base::StrCat("must not be '", key, "'"));
  } else if (key.starts_with("..")) {
    out.push_back("must not start with '..'");
  }
  return out;
}

Complaints CheckEnvName(std::string_view name) {
  if (name.empty()) return {kEmpty};
  for (char c : name) {
    if (c < ' ' || c > '~' || c == '=') {
      return {
          "a valid environment variable name must consist only of printable ASCII characters other "
          "than '='"};
    }
  }
  return {};
}

Complaints CheckPortName(std::string_view name) {
  Complaints out;
  if (name.size() > 15) out.push_back(TooLong(15));
  bool fine = !name.empty();
  bool letter = false;
  for (char c : name) {
    fine = fine && (IsLowerOrDigit(c) || c == '-');
    letter = letter || IsLower(c);
  }
  if (!fine) {
    out.push_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!letter) out.push_back("must contain at least one letter (a-z)");
  if (name.find("--") != std::string_view::npos) {
    out.push_back("must not contain consecutive hyphens");
  }
  if (!name.empty() && (name.front() == '-' || name.back() == '-')) {
    out.push_back("must not begin or end with a hyphen");
  }
  return out;
}

Complaints CheckIp(std::string_view text) {
  if (IsIp(text)) return {};
  return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
}

Complaints CheckCidr(std::string_view text) {
  const size_t slash = text.find('/');
  bool fine = slash != std::string_view::npos && IsIp(text.substr(0, slash));
  if (fine) {
    const std::string_view bits = text.substr(slash + 1);
    const int most = text.find(':') != std::string_view::npos ? 128 : 32;
    int n = 0;
    fine = !bits.empty() && bits.size() <= 3;
    for (char c : bits) {
      fine = fine && IsDigit(c);
      n = n * 10 + (c - '0');
    }
    fine = fine && n <= most;
  }
  if (fine) return {};
  return {"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"};
}

}  // namespace keel::orchestrator
