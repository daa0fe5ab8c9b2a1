#include "base/mutation.h"

#ifdef KEEL_MUTATIONS

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace keel::base {
namespace {

constexpr struct {
  const char* name;
  const char* text;
} kNames[] = {
#define KEEL_MUTATION_ROW(name, text) {#name, text},
    KEEL_MUTATION_LIST(KEEL_MUTATION_ROW)
#undef KEEL_MUTATION_ROW
};

std::atomic<uint64_t> hits{0};

Mutation FromEnvironment() {
  const char* wanted = std::getenv("KEEL_MUTATION");
  if (wanted == nullptr || *wanted == '\0') return Mutation::kNone;
  if (std::string_view(wanted) == "list") {
    for (const auto& row : kNames) std::printf("%s\t%s\n", row.name, row.text);
    std::exit(0);
  }
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (std::string_view(wanted) == kNames[i].name) {
      std::atexit([] {
        std::fprintf(stderr, "mutation took effect %llu times\n",
                     static_cast<unsigned long long>(hits.load()));
      });
      return static_cast<Mutation>(i);
    }
  }
  std::fprintf(stderr, "KEEL_MUTATION=%s: no such mutation\n", wanted);
  std::exit(2);
}

Mutation active = FromEnvironment();

}  // namespace

bool MutationActive(Mutation mutation) {
  if (active != mutation) return false;
  hits.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool SetMutation(std::string_view name) {
  hits.store(0);
  active = Mutation::kNone;
  if (name.empty()) return true;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i].name) active = static_cast<Mutation>(i);
  }
  return active != Mutation::kNone;
}

uint64_t MutationHits() { return hits.load(); }

}  // namespace keel::base

#endif
