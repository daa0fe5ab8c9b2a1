#include "orchestrator/apiserver/service_addresses.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <random>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

std::string IpText(uint32_t ip) {
  return base::StrCat(ip >> 24, ".", ip >> 16 & 255, ".", ip >> 8 & 255, ".", ip & 255);
}

std::optional<uint32_t> ParseIp(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(base::ToAbsl(text), '.');
  if (parts.size() != 4) return std::nullopt;
  uint32_t ip = 0;
  for (const std::string& part : parts) {
    uint32_t number = 256;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size() || number > 255) {
      return std::nullopt;
    }
    ip = ip << 8 | number;
  }
  return ip;
}

std::minstd_rand& Random() {
  static std::minstd_rand random{std::random_device{}()};
  return random;
}

bool NeedsIp(const json::object& service) {
  return StringAt(service, {"spec", "type"}) != "ExternalName" &&
         StringAt(service, {"spec", "clusterIP"}) != "None";
}

bool NeedsPorts(const json::object& service) {
  const std::string_view type = StringAt(service, {"spec", "type"});
  return type == "NodePort" || (type == "LoadBalancer" &&
                                BoolAt(service, {"spec", "allocateLoadBalancerNodePorts"}, true));
}

std::string ProtocolOf(const json::value& port) {
  const std::string_view protocol = StringAt(port, {"protocol"});
  return protocol.empty() ? "TCP" : std::string(protocol);
}

absl::Status Refused(const json::object& service, std::string_view field, const json::value& value,
                     std::string_view detail) {
  FieldErrors errors;
  errors.InvalidValue(field, value, detail);
  return Invalid("", "Service", StringAt(service, {"metadata", "name"}), errors);
}

}  // namespace

absl::StatusOr<ServiceRanges> ServiceRanges::Parse(std::string_view cidr, std::string_view ports) {
  ServiceRanges ranges;
  const size_t slash = cidr.find('/');
  const auto ip = ParseIp(cidr.substr(0, slash));
  uint32_t bits = 0;
  if (slash != std::string_view::npos) {
    const std::string_view text = cidr.substr(slash + 1);
    std::from_chars(text.data(), text.data() + text.size(), bits);
  }
  if (!ip.has_value() || bits < 12 || bits > 30) {
    return absl::InvalidArgumentError(base::StrCat("--service-cluster-ip-range: ", cidr,
                                                   " is no IPv4 range between /12 and /30"));
  }
  ranges.ip_count = 1u << (32 - bits);
  ranges.first_ip = *ip & ~(ranges.ip_count - 1);
  const size_t dash = ports.find('-');
  int32_t first = 0, last = 0;
  if (dash != std::string_view::npos) {
    std::from_chars(ports.data(), ports.data() + dash, first);
    std::from_chars(ports.data() + dash + 1, ports.data() + ports.size(), last);
  }
  if (first < 1 || last < first || last > 65535) {
    return absl::InvalidArgumentError(
        base::StrCat("--service-node-port-range: ", ports, " is no range of ports"));
  }
  ranges.first_port = first;
  ranges.port_count = last - first + 1;
  return ranges;
}

std::string ServiceRanges::ApiServerIp() const { return IpText(first_ip + 1); }

ServiceAddresses::ServiceAddresses(Cache& cache, ServiceRanges ranges)
    : cache_(cache), ranges_(ranges) {}

ServiceAddresses::~ServiceAddresses() {
  if (synced_) cache_.Resource("services").Unlisten(*this);
}

std::vector<std::string> ServiceAddresses::HeldBy(const json::object& service) {
  std::vector<std::string> out;
  const std::string_view ip = StringAt(service, {"spec", "clusterIP"});
  if (!ip.empty() && ip != "None") out.push_back(base::StrCat("ip/", ip));
  for (const json::value& port : ArrayAt(service, {"spec", "ports"})) {
    if (const int64_t number = IntAt(port, {"nodePort"}); number != 0) {
      out.push_back(base::StrCat("port/", ProtocolOf(port), "/", number));
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void ServiceAddresses::Count(const CachedObject& service, int by) {
  const std::string name = base::StrCat(service.ns, "/", service.name);
  for (const std::string& held : known_[name]) {
    if (--held_[held] == 0) held_.erase(held);
  }
  known_.erase(name);
  if (by == 0) return;
  const auto object = service.Parse();
  if (!object.ok()) return;
  std::vector<std::string> holds = HeldBy(*object);
  for (const std::string& held : holds) ++held_[held];
  known_[name] = std::move(holds);
}

void ServiceAddresses::Sync() {
  if (std::exchange(synced_, true)) return;
  held_.clear();
  known_.clear();
  ResourceCache& services = cache_.Resource("services");
  services.ForEach("", "", "", [this](const CachedObjectPtr& service) {
    Count(*service, 1);
    return true;
  });
  services.Listen(*this, {});
}

void ServiceAddresses::OnChange(const ObjectChange& change) {
  Count(*change.object, change.type == ChangeType::kDeleted ? 0 : 1);
}

absl::StatusOr<std::string> ServiceAddresses::ChooseIp() {
  // The first and last are the network's and the broadcast address, the second the API server's.
  const uint32_t usable = ranges_.ip_count - 3;
  uint32_t at = static_cast<uint32_t>(Random()() % usable);
  for (uint32_t tried = 0; tried < usable; ++tried, at = (at + 1) % usable) {
    std::string ip = IpText(ranges_.first_ip + 2 + at);
    if (!held_.contains("ip/" + ip)) return ip;
  }
  return Internal("failed to allocate a serviceIP: range is full");
}

absl::StatusOr<int64_t> ServiceAddresses::ChoosePort(std::string_view protocol,
                                                     const json::array& ports) {
  int32_t at = static_cast<int32_t>(Random()() % static_cast<uint32_t>(ranges_.port_count));
  for (int32_t tried = 0; tried < ranges_.port_count; ++tried) {
    const int64_t port = ranges_.first_port + at;
    at = (at + 1) % ranges_.port_count;
    bool own = false;
    for (const json::value& other : ports) own = own || IntAt(other, {"nodePort"}) == port;
    if (!own && !held_.contains(base::StrCat("port/", protocol, "/", port))) return port;
  }
  return Internal("failed to allocate a nodePort: range is full");
}

absl::Status ServiceAddresses::ChooseFor(json::object& service) {
  if (NeedsIp(service)) {
    std::string ip(StringAt(service, {"spec", "clusterIP"}));
    if (ip.empty()) {
      KEEL_ASSIGN_OR_RETURN(ip, ChooseIp());
      *Ensure(service, {"spec", "clusterIP"}) = ip;
    } else if (const auto number = ParseIp(ip);
               !number.has_value() || *number - ranges_.first_ip >= ranges_.ip_count) {
      return Refused(
          service, "spec.clusterIPs", json::array{json::value(ip)},
          base::StrCat("failed to allocate IP ", ip,
                       ": the provided IP is not in the valid range. The range of "
                       "valid IPs is ",
                       IpText(ranges_.first_ip), "/", 32 - std::countr_zero(ranges_.ip_count)));
    }
    *Ensure(service, {"spec", "clusterIPs"}) = json::array{json::value(ip)};
  } else if (StringAt(service, {"spec", "clusterIP"}) == "None") {
    *Ensure(service, {"spec", "clusterIPs"}) = json::array{"None"};
  }
  if (StringAt(service, {"spec", "type"}) != "ExternalName") {
    if (ArrayAt(service, {"spec", "ipFamilies"}).empty()) {
      *Ensure(service, {"spec", "ipFamilies"}) = json::array{"IPv4"};
    }
    if (StringAt(service, {"spec", "ipFamilyPolicy"}).empty()) {
      *Ensure(service, {"spec", "ipFamilyPolicy"}) = "SingleStack";
    }
  }
  json::value* ports = Find(service, {"spec", "ports"});
  if (ports == nullptr || !ports->is_array()) return absl::OkStatus();
  for (json::value& port : ports->as_array()) {
    if (!port.is_object()) continue;
    if (!NeedsPorts(service)) {
      port.as_object().erase("nodePort");
      continue;
    }
    const int64_t number = IntAt(port, {"nodePort"});
    if (number == 0) {
      KEEL_ASSIGN_OR_RETURN(const int64_t chosen, ChoosePort(ProtocolOf(port), ports->as_array()));
      port.as_object()["nodePort"] = chosen;
    } else if (number < ranges_.first_port || number >= ranges_.first_port + ranges_.port_count) {
      return Refused(
          service, "spec.ports[0].nodePort", number,
          base::StrCat("provided port is not in the valid range. The range of valid "
                       "ports is ",
                       ranges_.first_port, "-", ranges_.first_port + ranges_.port_count - 1));
    }
  }
  return absl::OkStatus();
}

absl::Status ServiceAddresses::Plan(const json::object* before, json::object* service,
                                    WritePlan& plan) {
  Sync();
  if (service != nullptr) KEEL_RETURN_IF_ERROR(ChooseFor(*service));
  const std::vector<std::string> was =
      before == nullptr ? std::vector<std::string>() : HeldBy(*before);
  const std::vector<std::string> is =
      service == nullptr ? std::vector<std::string>() : HeldBy(*service);
  const std::string prefix = cache_.options().prefix + "-addresses/";
  for (const std::string& held : is) {
    if (std::binary_search(was.begin(), was.end(), held)) continue;
    if (held_.contains(held)) {
      if (held.starts_with("ip/")) {
        const std::string ip = held.substr(3);
        return Refused(
            *service, "spec.clusterIPs", json::array{json::value(ip)},
            base::StrCat("failed to allocate IP ", ip, ": provided IP is already allocated"));
      }
      return Refused(*service, "spec.ports[0].nodePort",
                     std::stoll(held.substr(held.rfind('/') + 1)),
                     "provided port is already allocated");
    }
    plan.compares.push_back({prefix + held, 0});
    plan.ops.push_back(
        StoreOp::Put(prefix + held, base::StrCat(StringAt(*service, {"metadata", "namespace"}), "/",
                                                 StringAt(*service, {"metadata", "name"}))));
  }
  for (const std::string& held : was) {
    if (!std::binary_search(is.begin(), is.end(), held)) {
      plan.ops.push_back(StoreOp::Delete(prefix + held));
    }
  }
  return absl::OkStatus();
}

}  // namespace keel::orchestrator
