// The settings of a Client and of one call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/tls/options.h"

namespace keel::kvstore {

struct ClientOptions {
  // "host:port", "http://host:port" or, with TLS, "https://host:port"; several members of one
  // cluster.
  std::vector<std::string> endpoints = {"127.0.0.1:2379"};

  // For https:// endpoints, and for those without a scheme when it is given: whom to trust, and the
  // certificate to show. Without it https:// endpoints are checked against the system's CAs.
  std::optional<base::TlsOptions> tls;

  // A call that for this long could not connect to any endpoint fails. Zero:
  // after each was tried once.
  base::Duration dial_timeout = std::chrono::seconds(2);
  // Limit of a call as a whole, repetitions included, unless given with it.
  base::Duration request_timeout = std::chrono::seconds(5);

  // With several endpoints: find out which is the leader, and send it the
  // writes, which saves them a hop. Costs a Status call to each endpoint before
  // the first write (which waits for the answers, 300 ms at most) and every ten
  // seconds in which there are writes.
  bool follow_leader = true;

  // With a user's name the client logs in before its first request, shows the token it gets with
  // each, and logs in again when a server does not know the token any more.
  std::string username;
  std::string password;

  // A connection that was silent this long while calls are open is probed, and
  // given up when nothing comes back within the timeout.
  base::Duration keepalive_interval = std::chrono::seconds(10);
  base::Duration keepalive_timeout = std::chrono::seconds(5);
};

struct RpcOptions {
  base::Duration timeout = base::Duration::zero();  // zero: ClientOptions::request_timeout
  // Ask exactly this server ("host:port", of the client's endpoints or not) and
  // no other.
  std::string endpoint;
};

}  // namespace keel::kvstore
