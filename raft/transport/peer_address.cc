#include "raft/transport/peer_address.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <vector>

#include "base/strings.h"

namespace keel::raft {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// An IPv4 caller of a socket that takes both looks like ::ffff:10.0.0.1.
asio::ip::address Plain(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

bool Matches(const std::string& pattern, std::string_view name) {
  if (pattern.starts_with("*.")) return name.ends_with(std::string_view(pattern).substr(1));
  return pattern == name;
}

std::string Joined(const std::vector<std::string>& words, std::string_view quote,
                   std::string_view between) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += between;
    out += base::StrCat(quote, word, quote);
  }
  return out;
}

}  // namespace

asio::awaitable<absl::Status> CheckCallerAddress(base::TlsNames names, asio::ip::address caller) {
  if (names.names.empty() && names.addresses.empty()) co_return absl::OkStatus();
  caller = Plain(caller);
  const std::string text = caller.to_string();
  if (std::find(names.addresses.begin(), names.addresses.end(), text) != names.addresses.end()) {
    co_return absl::OkStatus();
  }
  if (names.names.empty()) {
    co_return absl::PermissionDeniedError(base::StrCat(
        "x509: certificate is valid for ", Joined(names.addresses, "", ", "), ", not ", text));
  }
  std::string why;  // why the last look-up found nothing
  tcp::resolver resolver(co_await asio::this_coro::executor);
  {
    const auto [ec, found] = co_await resolver.async_resolve(tcp::endpoint(caller, 0), kAwait);
    if (ec) why = base::StrCat(" (look-up of ", text, ": ", ec.message(), ")");
    for (const auto& entry : found) {
      std::string name = entry.host_name();
      if (name.ends_with('.')) name.pop_back();
      for (const std::string& pattern : names.names) {
        if (Matches(pattern, name)) co_return absl::OkStatus();
      }
    }
  }
  for (const std::string& name : names.names) {
    if (name.starts_with("*.")) continue;
    const auto [ec, found] = co_await resolver.async_resolve(name, "", kAwait);
    if (ec) why = base::StrCat(" (look-up of ", name, ": ", ec.message(), ")");
    for (const auto& entry : found) {
      if (Plain(entry.endpoint().address()) == caller) co_return absl::OkStatus();
    }
  }
  co_return absl::PermissionDeniedError(base::StrCat("tls: \"", text,
                                                     "\" does not match any of DNSNames [",
                                                     Joined(names.names, "\"", " "), "]", why));
}

}  // namespace keel::raft
