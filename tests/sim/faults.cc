#include "tests/sim/faults.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "tests/sim/world.h"

namespace keel::sim {
namespace {

constexpr int64_t kRateZero = 1ll << 32;

// How often at most in a run, and for how long.
struct Habit {
  const char* name;
  int count_max;
  Nanos length_min;
  Nanos length_max;
};

constexpr Habit kHabits[] = {
    {"loss", 3, kSecond / 2, 8 * kSecond},
    {"duplicate", 2, kSecond, 15 * kSecond},
    {"straggle", 3, kSecond, 10 * kSecond},
    {"corrupt", 2, kSecond, 5 * kSecond},
    {"delay", 3, kSecond, 10 * kSecond},
    {"break-snapshot", 2, 5 * kSecond, 20 * kSecond},
    {"split", 4, kSecond / 2, 8 * kSecond},
    {"one-way", 3, kSecond / 2, 8 * kSecond},
    {"ring", 2, kSecond, 8 * kSecond},
    {"bridge", 2, kSecond, 8 * kSecond},
    {"flap", 2, 2 * kSecond, 8 * kSecond},
    {"crash", 6, kMilli, 6 * kSecond},
    {"kill", 4, kMilli, 4 * kSecond},
    {"crash-at-write", 6, kMilli, 5 * kSecond},
    {"crash-all", 2, kMilli, 3 * kSecond},
    {"pause", 4, 50 * kMilli, 5 * kSecond},
    {"slow-disk", 2, kSecond, 10 * kSecond},
    {"stall-disk", 3, kSecond, 10 * kSecond},
    {"disk-errors", 2, kSecond / 10, 3 * kSecond},
    {"disk-full", 2, kSecond / 2, 5 * kSecond},
    {"damage", 1, 500 * kMilli, 3 * kSecond},
    {"clock-rate", 3, 2 * kSecond, 20 * kSecond},
    {"clock-jump", 3, 0, 0},
    {"transfer", 6, 0, 0},
    {"add-member", 3, 0, 0},
    {"promote", 4, 0, 0},
    {"remove", 2, 0, 0},
    {"swap", 2, 0, 0},
};
static_assert(std::size(kHabits) == static_cast<size_t>(FaultKind::kCount));

const Habit& HabitOf(FaultKind kind) { return kHabits[static_cast<size_t>(kind)]; }

void Fill(Random& random, size_t members, Fault* fault) {
  switch (fault->kind) {
    case FaultKind::kLoss:
      fault->rate = random.Chance(0.3) ? 0.3 + 0.5 * random.Unit() : 0.2 * random.Unit();
      break;
    case FaultKind::kDuplicate:
    case FaultKind::kStraggle:
      fault->rate = 0.3 * random.Unit();
      break;
    case FaultKind::kCorrupt:
      fault->rate = 0.05 * random.Unit();
      break;
    case FaultKind::kBreakSnapshot:
      fault->rate = 0.3 + 0.6 * random.Unit();
      break;
    case FaultKind::kDelay:
      fault->value = static_cast<uint64_t>(random.Between(5 * kMilli, 400 * kMilli));
      break;
    case FaultKind::kSplit:
    case FaultKind::kOneWay:
    case FaultKind::kBridge:
    case FaultKind::kFlap:
      fault->value = 1 + random.Below((1ull << members) - 2);  // neither none nor all
      break;
    case FaultKind::kCrashAtWrite:
      fault->value = 1 + random.Below(random.Chance(0.5) ? 10 : 200);
      break;
    case FaultKind::kSlowDisk:
      fault->value = 2 + random.Below(200);
      break;
    case FaultKind::kStallDisk:
      fault->rate = 0.2 * random.Unit();
      fault->value = static_cast<uint64_t>(random.Between(20 * kMilli, 3 * kSecond));
      break;
    case FaultKind::kDiskErrors:
      fault->rate = 0.02 * random.Unit();
      break;
    case FaultKind::kClockRate:
      // Real clocks are off by some dozens of ppm; lease reads assume less than this.
      fault->value = static_cast<uint64_t>(kRateZero + random.Between(-20'000, 20'000));
      break;
    case FaultKind::kClockJump:
      fault->value = static_cast<uint64_t>(random.Between(10 * kMilli, 10 * kSecond));
      break;
    default:
      fault->value = random.Below(1024);
      break;
  }
}

}  // namespace

const char* Name(FaultKind kind) { return HabitOf(kind).name; }

FaultPlan DerivePlan(uint64_t seed, const PlanOptions& options) {
  Random random(seed ^ 0xfa17fa17fa17fa17ull);
  FaultPlan plan;
  const double appetite = 0.15 + 0.5 * random.Unit();  // some runs have few kinds, some most
  const double haste = random.Chance(0.2) ? 2.0 : 1.0;
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i) {
    const auto kind = static_cast<FaultKind>(i);
    // The same draws whatever kinds are allowed: a kind more does not change the others.
    Random own = random.Fork();
    if (!own.Chance(appetite) || !options.kinds.contains(kind)) continue;
    const Habit& habit = HabitOf(kind);
    const auto count =
        static_cast<int>(1 + own.Below(static_cast<uint64_t>(haste * habit.count_max)));
    for (int n = 0; n < count; ++n) {
      Fault fault;
      fault.kind = kind;
      fault.at = own.Between(kSecond / 5, std::max(kSecond / 5 + 1, options.length - kSecond));
      fault.length = own.Between(habit.length_min, habit.length_max);
      fault.length = std::min(fault.length, options.length - fault.at);
      fault.member = options.members[own.Below(options.members.size())];
      Fill(own, options.members.size(), &fault);
      plan.push_back(fault);
    }
  }
  std::stable_sort(plan.begin(), plan.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  for (size_t i = 0; i < plan.size(); ++i) plan[i].number = static_cast<uint32_t>(i + 1);
  return plan;
}

FaultPlan Only(const FaultPlan& plan, const std::set<uint32_t>& numbers) {
  FaultPlan out;
  for (const Fault& fault : plan) {
    if (numbers.contains(fault.number)) out.push_back(fault);
  }
  return out;
}

std::string Describe(const Fault& fault) {
  std::string out = absl::StrFormat("#%d %s at %.3fs", fault.number, Name(fault.kind),
                                    static_cast<double>(fault.at) / kSecond);
  if (fault.length > 0) {
    absl::StrAppendFormat(&out, " for %.3fs", static_cast<double>(fault.length) / kSecond);
  }
  absl::StrAppendFormat(&out, " member %x", fault.member);
  if (fault.kind == FaultKind::kClockRate) {
    absl::StrAppendFormat(&out, " by %d ppm", static_cast<int64_t>(fault.value) - kRateZero);
  } else if (fault.value != 0) {
    absl::StrAppendFormat(&out, " value %d", fault.value);
  }
  if (fault.rate > 0) absl::StrAppendFormat(&out, " rate %.4f", fault.rate);
  return out;
}

}  // namespace keel::sim
