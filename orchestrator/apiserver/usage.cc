#include "orchestrator/apiserver/usage.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace keel::orchestrator {

namespace {

constexpr int64_t kMiB = 1 << 20;
// Of a container that requests nothing.
constexpr int64_t kLeastMilliCpu = 1;
constexpr int64_t kLeastMemory = 8 * kMiB;
// Of a node besides its pods.
constexpr int64_t kNodeMilliCpu = 20;
constexpr int64_t kNodeMemory = 128 * kMiB;

// The amount of one resource as a whole number: thousandths of cores, or bytes.
enum class Unit : uint8_t { kMilliCpu, kBytes };

int64_t AmountOf(const Quantity& quantity, Unit unit) {
  return unit == Unit::kMilliCpu ? quantity.MilliValue() : quantity.Value();
}

Quantity QuantityOf(int64_t amount, Unit unit) {
  return unit == Unit::kMilliCpu ? Quantity::FromMilli(amount)
                                 : Quantity::FromInt(amount, Quantity::Format::kBinary);
}

// What the pod's annotation says; nullopt when it is missing or no amount.
std::optional<int64_t> Annotated(const json::object& pod, std::string_view annotation, Unit unit) {
  const std::string_view text = StringAt(pod, {"metadata", "annotations", annotation});
  if (text.empty()) return std::nullopt;
  const auto quantity = Quantity::Parse(text);
  if (!quantity.ok() || quantity->Sign() < 0) return std::nullopt;
  return AmountOf(*quantity, unit);
}

// The containers that go on running: sidecars among the init containers do.
std::vector<const json::value*> RunningContainers(const json::object& pod) {
  std::vector<const json::value*> out;
  for (const json::value& container : ArrayAt(pod, {"spec", "containers"})) {
    out.push_back(&container);
  }
  for (const json::value& container : ArrayAt(pod, {"spec", "initContainers"})) {
    if (StringAt(container, {"restartPolicy"}) == "Always") out.push_back(&container);
  }
  return out;
}

int64_t HalfOfRequest(const json::value& container, std::string_view resource, Unit unit,
                      int64_t least) {
  const json::value* request = Find(container, {"resources", "requests", resource});
  const int64_t amount = request == nullptr ? 0 : AmountOf(Quantity::Of(*request), unit);
  return amount <= 0 ? least : amount / 2 + amount % 2;
}

}  // namespace

Usage& Usage::operator+=(const Usage& other) {
  cpu += other.cpu;
  memory += other.memory;
  return *this;
}

json::object Usage::ToJson() const {
  return {{"cpu", cpu.ToString()}, {"memory", memory.ToString()}};
}

bool HollowUsage::Knows(const CachedObject& node) const {
  const auto& labels = node.facts->labels;
  return std::find(labels.begin(), labels.end(),
                   std::pair<std::string, std::string>("node.keel.io/runtime", "hollow")) !=
         labels.end();
}

std::vector<ContainerUsage> HollowUsage::OfPod(const json::object& pod) const {
  const auto cpu = Annotated(pod, kCpuAnnotation, Unit::kMilliCpu);
  const auto memory = Annotated(pod, kMemoryAnnotation, Unit::kBytes);
  const std::vector<const json::value*> containers = RunningContainers(pod);
  const auto count = static_cast<int64_t>(containers.size());
  std::vector<ContainerUsage> out;
  for (int64_t i = 0; i < count; ++i) {
    const json::value& container = *containers[i];
    auto amount = [&](const std::optional<int64_t>& whole, std::string_view resource, Unit unit,
                      int64_t least) {
      // What does not divide goes to the first containers.
      return QuantityOf(whole.has_value() ? *whole / count + (i < *whole % count ? 1 : 0)
                                          : HalfOfRequest(container, resource, unit, least),
                        unit);
    };
    out.push_back({.name = std::string(StringAt(container, {"name"})),
                   .usage = {.cpu = amount(cpu, "cpu", Unit::kMilliCpu, kLeastMilliCpu),
                             .memory = amount(memory, "memory", Unit::kBytes, kLeastMemory)}});
  }
  return out;
}

Usage HollowUsage::OfNode(const CachedObject&, const Usage& pods) const {
  Usage out{.cpu = QuantityOf(kNodeMilliCpu, Unit::kMilliCpu),
            .memory = QuantityOf(kNodeMemory, Unit::kBytes)};
  out += pods;
  return out;
}

bool RunsAndIsReady(const json::object& pod) {
  if (StringAt(pod, {"status", "phase"}) != "Running") return false;
  for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
    if (StringAt(condition, {"type"}) == "Ready") {
      return StringAt(condition, {"status"}) == "True";
    }
  }
  return false;
}

}  // namespace keel::orchestrator
