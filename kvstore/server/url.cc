#include "kvstore/server/url.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::kvstore {

using base::StrCat;

std::string Url::HostPort() const {
  if (unix_socket()) return host;
  if (host.find(':') != std::string::npos) return StrCat("[", host, "]:", port);
  return StrCat(host, ":", port);
}

std::string Url::PeerAddress() const { return tls() ? "https://" + HostPort() : HostPort(); }

std::string Url::ToString() const { return StrCat(scheme, "://", HostPort()); }

absl::StatusOr<Url> ParseUrl(std::string_view raw) {
  const std::string text(absl::StripAsciiWhitespace(base::ToAbsl(raw)));
  Url url;
  const size_t mark = text.find("://");
  if (mark != std::string::npos) url.scheme = text.substr(0, mark);
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "unix" &&
      url.scheme != "unixs") {
    return absl::InvalidArgumentError(
        StrCat("URL scheme must be http, https, unix, or unixs: ", text));
  }
  std::string rest = text.substr(mark + 3);
  if (url.unix_socket()) {
    if (rest.empty()) return absl::InvalidArgumentError(StrCat("URL has no socket name: ", text));
    url.host = rest;
    return url;
  }
  const size_t end = rest.find_first_of("/?#");
  if (end != std::string::npos) {
    return absl::InvalidArgumentError(StrCat("URL must not contain a path: ", text));
  }
  std::string port;
  if (!rest.empty() && rest[0] == '[') {
    const size_t close = rest.find("]:");
    if (close != std::string::npos) {
      url.host = rest.substr(1, close - 1);
      port = rest.substr(close + 2);
    }
  } else if (const size_t colon = rest.find(':');
             colon != std::string::npos && rest.find(':', colon + 1) == std::string::npos) {
    url.host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  uint32_t number = 0;
  if (port.empty() || !absl::SimpleAtoi(port, &number) || number > 65535) {
    return absl::InvalidArgumentError(
        StrCat("URL address does not have the form \"host:port\": ", text));
  }
  if (url.host.find('@') != std::string::npos) {
    return absl::InvalidArgumentError(StrCat("URL must not contain a user: ", text));
  }
  url.port = static_cast<uint16_t>(number);
  return url;
}

absl::StatusOr<std::vector<Url>> ParseUrls(std::string_view text) {
  std::vector<Url> urls;
  for (absl::string_view part : absl::StrSplit(base::ToAbsl(text), ',')) {
    KEEL_ASSIGN_OR_RETURN(Url url, ParseUrl(base::ToStd(part)));
    urls.push_back(std::move(url));
  }
  std::sort(urls.begin(), urls.end(),
            [](const Url& a, const Url& b) { return a.ToString() < b.ToString(); });
  return urls;
}

std::vector<std::string> UrlStrings(const std::vector<Url>& urls) {
  std::vector<std::string> out;
  out.reserve(urls.size());
  for (const Url& url : urls) out.push_back(url.ToString());
  return out;
}

std::string JoinUrls(const std::vector<Url>& urls) { return absl::StrJoin(UrlStrings(urls), ","); }

}  // namespace keel::kvstore
