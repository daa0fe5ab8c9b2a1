#include "orchestrator/node/hollow_runtime.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/check.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr int kFirstAddress = 2;  // .0 is the network, .1 the gateway
constexpr int kLastAddress = 254;

std::string Address(uint32_t node, int last) {
  return base::StrCat("10.", 128 + ((node >> 8) & 127), ".", node & 255, ".", last);
}

}  // namespace

std::string HollowRuntime::PodCidr(uint32_t node) { return base::StrCat(Address(node, 0), "/24"); }

HollowRuntime::HollowRuntime(base::Loop& loop, HollowOptions options,
                             std::function<absl::Time()> now)
    : loop_(loop), options_(options), now_(std::move(now)), random_(options.seed) {}

HollowRuntime::~HollowRuntime() = default;

void HollowRuntime::Plan(PodHandle handle, base::Duration delay,
                         std::function<void(Events&)> step) {
  const auto found = pods_.find(handle);
  KEEL_CHECK(found != pods_.end(), "pod=", handle);
  const uint32_t run = found->second.run;
  auto task = [this, weak = std::weak_ptr(alive_), handle, run, step = std::move(step)] {
    if (weak.expired()) return;
    const auto now = pods_.find(handle);
    if (now != pods_.end() && now->second.run == run) step(*events_);
  };
  if (delay <= base::Duration::zero()) {
    loop_.Post(std::move(task));
  } else {
    loop_.After(delay, std::move(task));
  }
}

base::Duration HollowRuntime::Vary(base::Duration delay) {
  if (options_.jitter <= 0 || delay <= base::Duration::zero()) return delay;
  std::uniform_real_distribution<double> factor(1 - options_.jitter, 1 + options_.jitter);
  return base::Duration(static_cast<int64_t>(static_cast<double>(delay.count()) * factor(random_)));
}

base::Duration HollowRuntime::SettingOr(const Pod& pod, std::string_view name,
                                        base::Duration otherwise) const {
  double seconds = 0;
  if (!absl::SimpleAtod(base::ToAbsl(pod.spec->Setting(name)), &seconds) || !(seconds >= 0) ||
      seconds > 1e9) {
    return otherwise;
  }
  return base::Duration(static_cast<int64_t>(seconds * 1e9));
}

std::string HollowRuntime::TakeAddress(Pod& pod, int wanted) {
  Addresses& node = addresses_[pod.node];
  int last = wanted;
  if (last < kFirstAddress || last > kLastAddress || node.used[static_cast<size_t>(last)]) {
    // The next after the one given last: an address is not given again at once.
    for (int tries = 0; tries < 256; ++tries) {
      last = node.next++;
      if (last >= kFirstAddress && last <= kLastAddress && !node.used[static_cast<size_t>(last)]) {
        break;
      }
    }
  }
  // More pods than addresses (--max-pods above 253): they share, as nothing listens on them.
  last = std::clamp(last, kFirstAddress, kLastAddress);
  node.used.set(static_cast<size_t>(last));
  pod.address = static_cast<int16_t>(last);
  return Address(options_.first_node + pod.node, last);
}

void HollowRuntime::CreateSandbox(PodHandle handle, PodContext context) {
  Pod pod{.node = context.node, .spec = std::move(context.spec)};
  const std::string ip = TakeAddress(pod, -1);
  const base::Duration delay =
      SettingOr(pod, "start-seconds", base::Duration(Vary(options_.start_delay)));
  pods_.emplace(handle, std::move(pod));
  Plan(handle, delay, [handle, ip](Events& events) { events.SandboxReady(handle, ip); });
}

void HollowRuntime::AdoptSandbox(PodHandle handle, PodContext context, std::string_view ip) {
  Pod pod{.node = context.node, .spec = std::move(context.spec)};
  const size_t dot = ip.rfind('.');
  int last = -1;
  if (dot != std::string_view::npos) {
    std::from_chars(ip.data() + dot + 1, ip.data() + ip.size(), last);
  }
  if (last >= kFirstAddress && last <= kLastAddress) TakeAddress(pod, last);
  pods_.emplace(handle, std::move(pod));
}

void HollowRuntime::StartContainer(PodHandle handle, size_t container, int /*attempt*/) {
  const Pod& pod = pods_.at(handle);
  // All of them at once: the delay is that of the sandbox.
  Plan(handle, {}, [handle, container](Events& e) { e.ContainerStarted(handle, container); });
  PlanReady(handle, pod, container, {});
  PlanExit(handle, pod, container, {});
}

void HollowRuntime::AdoptContainer(PodHandle handle, size_t container, absl::Time started) {
  const Pod& pod = pods_.at(handle);
  const base::Duration ran = absl::ToChronoNanoseconds(now_() - started);
  PlanReady(handle, pod, container, ran);
  PlanExit(handle, pod, container, ran);
}

void HollowRuntime::PlanReady(PodHandle handle, const Pod& pod, size_t container,
                              base::Duration ran) {
  if (pod.spec->Setting("ready") == "false") return;
  const base::Duration delay = SettingOr(
      pod, "ready-seconds", std::chrono::seconds(pod.spec->at(container).ready_after_seconds));
  Plan(handle, delay - ran,
       [handle, container](Events& e) { e.ContainerReady(handle, container, true); });
}

void HollowRuntime::PlanExit(PodHandle handle, const Pod& pod, size_t container,
                             base::Duration ran) {
  const ContainerSpec& spec = pod.spec->at(container);
  const bool init = container < pod.spec->init_containers.size();
  if (init && spec.sidecar) return;
  int exit_code = 0;
  std::ignore = absl::SimpleAtoi(base::ToAbsl(pod.spec->Setting("exit-code")), &exit_code);
  base::Duration delay{-1};
  if (init) {
    delay = {};
    exit_code = 0;
  } else {
    const bool ends = pod.spec->restart_policy != RestartPolicy::kAlways;
    delay = SettingOr(pod, "run-seconds", ends ? Vary(options_.run_time) : base::Duration(-1));
    if (delay.count() < 0 && !pod.spec->Setting("exit-code").empty()) delay = {};
    if (options_.failure_rate > 0 &&
        std::uniform_real_distribution<double>(0, 1)(random_) < options_.failure_rate) {
      exit_code = exit_code == 0 ? 1 : exit_code;
      if (delay.count() < 0) delay = Vary(options_.run_time);
    }
  }
  if (delay.count() < 0) return;
  Plan(handle, std::max(delay - ran, base::Duration{}), [handle, container, exit_code](Events& e) {
    e.ContainerExited(handle, container, exit_code);
  });
}

void HollowRuntime::StopPod(PodHandle handle, base::Duration grace) {
  Pod& pod = pods_.at(handle);
  ++pod.run;  // What was planned no longer happens.
  const base::Duration delay =
      std::min(grace, SettingOr(pod, "stop-seconds", Vary(options_.stop_delay)));
  // What ends by itself is cut short by the signal, and says so; a server ends in order.
  const int exit_code = pod.spec->restart_policy == RestartPolicy::kAlways ? 0 : 143;
  Plan(handle, delay, [handle, exit_code](Events& e) { e.PodStopped(handle, exit_code); });
}

void HollowRuntime::RemovePod(PodHandle handle) {
  const auto found = pods_.find(handle);
  if (found == pods_.end()) return;
  const Pod& pod = found->second;
  if (pod.address >= 0) addresses_[pod.node].used.reset(static_cast<size_t>(pod.address));
  pods_.erase(found);
}

}  // namespace keel::orchestrator
