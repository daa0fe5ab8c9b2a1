#include "kvstore/client/endpoints.h"

#include <algorithm>

#include "base/check.h"
#include "base/strings.h"

namespace keel::kvstore {

absl::StatusOr<std::string> ParseEndpoint(std::string_view endpoint) {
  std::string_view rest = endpoint;
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(base::StrCat("endpoint \"", endpoint, "\": ", why));
  };
  if (const size_t colon = rest.find("://"); colon != std::string_view::npos) {
    const std::string_view scheme = rest.substr(0, colon);
    if (scheme != "http" && scheme != "https") return bad("the scheme must be http or https");
    rest.remove_prefix(colon + 3);
    while (rest.ends_with('/')) rest.remove_suffix(1);
  }
  if (rest.empty()) return bad("no host");
  if (rest.find_first_of("/ \t?#@") != std::string_view::npos) return bad("want HOST:PORT");

  // [::1]:2379, host:2379, host
  size_t port_at = rest.rfind(':');
  if (rest.front() == '[') {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return bad("want [ADDRESS]:PORT");
    if (close + 1 == rest.size()) {
      port_at = std::string_view::npos;
    } else if (port_at != close + 1) {
      return bad("want [ADDRESS]:PORT");
    }
  } else if (port_at != rest.find(':')) {
    return bad("an IPv6 address stands in brackets: [ADDRESS]:PORT");
  }
  if (port_at == std::string_view::npos) return base::StrCat(rest, ":2379");
  const std::string_view port = rest.substr(port_at + 1);
  int number = 0;
  for (const char c : port) {
    if (c < '0' || c > '9' || number > 65535) return bad("the port must be 1 to 65535");
    number = number * 10 + (c - '0');
  }
  if (number < 1 || number > 65535) return bad("the port must be 1 to 65535");
  if (port_at == 0) return bad("no host");
  return std::string(rest);
}

bool WantsTls(std::string_view endpoint, bool by_default) {
  if (endpoint.find("://") == std::string_view::npos) return by_default;
  return endpoint.starts_with("https://");
}

Endpoints::Endpoints(size_t count) : servers_(count) { KEEL_CHECK(count > 0); }

std::optional<size_t> Endpoints::Pick(base::TimePoint now, bool prefer_leader,
                                      const std::vector<bool>& tried) {
  const auto free = [&](size_t i) { return tried.empty() || !tried[i]; };
  if (prefer_leader) {
    const auto i = leader();
    if (i && free(*i) && servers_[*i].passed_over_until <= now) return i;
  }
  std::optional<size_t> best;
  for (size_t step = 0; step < servers_.size(); ++step) {
    const size_t i = (next_ + step) % servers_.size();
    if (!free(i)) continue;
    if (servers_[i].passed_over_until <= now) {
      best = i;
      break;
    }
    if (!best || servers_[i].passed_over_until < servers_[*best].passed_over_until) best = i;
  }
  if (best) next_ = (*best + 1) % servers_.size();
  return best;
}

void Endpoints::Succeeded(size_t index) {
  servers_[index].failures = 0;
  servers_[index].passed_over_until = {};
}

void Endpoints::Failed(size_t index, base::TimePoint now) {
  Server& server = servers_[index];
  const base::Duration pause = kPauseMin * (int64_t{1} << std::min(server.failures, 10));
  server.passed_over_until = now + std::min(pause, kPauseMax);
  ++server.failures;
  if (leader() == index) ForgetLeader();
}

void Endpoints::Learned(size_t index, uint64_t member, uint64_t leader, uint64_t term) {
  servers_[index].member = member;
  if (term < term_) return;
  if (term > term_) leader_ = 0;
  term_ = term;
  if (leader != 0) leader_ = leader;
}

std::optional<size_t> Endpoints::leader() const {
  if (leader_ == 0) return std::nullopt;
  for (size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].member == leader_) return i;
  }
  return std::nullopt;
}

}  // namespace keel::kvstore
