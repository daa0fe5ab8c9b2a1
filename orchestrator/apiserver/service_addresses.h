// Cluster IPs and node ports of services: given out by the server, each once.
//
// A key of the store stands for every address and port that is taken, written and removed in the
// transaction that writes the service: two servers that choose the same lose the race, not the
// address. What is taken is known from the services in the cache; the keys decide.
//
//   PREFIX-addresses/ip/10.96.0.10      "default/web"
//   PREFIX-addresses/port/TCP/30080     "default/web"
//
// Thread-safety: on the server's loop only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "orchestrator/apiserver/cache.h"
#include "orchestrator/apiserver/writer.h"

namespace keel::orchestrator {

struct ServiceRanges {
  uint32_t first_ip = 0x0a600000;  // 10.96.0.0/16, the network's own address
  uint32_t ip_count = 65536;
  int32_t first_port = 30000;
  int32_t port_count = 2768;

  // "10.96.0.0/16" and "30000-32767". InvalidArgument naming what is wrong.
  static absl::StatusOr<ServiceRanges> Parse(std::string_view cidr, std::string_view ports);
  std::string ApiServerIp() const;  // the first of all, of the service `kubernetes`
};

class ServiceAddresses final : public ChangeListener {
 public:
  ServiceAddresses(Cache& cache, ServiceRanges ranges);
  ~ServiceAddresses() override;

  // Fills in what `service` needs and has not, and adds to `plan` what keeps and releases it.
  // `before` null: it is created; `service` null: it goes.
  absl::Status Plan(const json::object* before, json::object* service, WritePlan& plan);

  // ChangeListener:
  void OnChange(const ObjectChange& change) override;
  void OnReset() override { synced_ = false; }

  const ServiceRanges& ranges() const { return ranges_; }

 private:
  // What a service holds: the parts of keys, "ip/10.96.0.10", "port/TCP/30080".
  static std::vector<std::string> HeldBy(const json::object& service);
  void Sync();
  void Count(const CachedObject& service, int by);
  absl::StatusOr<std::string> ChooseIp();
  absl::StatusOr<int64_t> ChoosePort(std::string_view protocol, const json::array& ports);
  absl::Status ChooseFor(json::object& service);

  Cache& cache_;
  const ServiceRanges ranges_;
  bool synced_ = false;
  absl::flat_hash_map<std::string, int> held_;                        // by part of key
  absl::flat_hash_map<std::string, std::vector<std::string>> known_;  // by "namespace/name"
};

}  // namespace keel::orchestrator
