#include "tests/sim/world.h"

#include <algorithm>
#include <functional>

namespace keel::sim {

World::World(uint64_t seed) : random_(seed), ties_(random_.Fork()), hash_(seed) {}

void World::At(Nanos when, base::Task task) {
  events_.push_back({std::max(when, now_), ties_.Next(), next_sequence_++, std::move(task)});
  std::push_heap(events_.begin(), events_.end(), std::greater<>());
}

bool World::Step() {
  if (events_.empty()) return false;
  std::pop_heap(events_.begin(), events_.end(), std::greater<>());
  Event event = std::move(events_.back());
  events_.pop_back();
  now_ = event.at;
  charged_ = 0;
  ++events_run_;
  Mix(static_cast<uint64_t>(now_));
  Mix(event.sequence);
  event.task();
  charged_ = 0;
  return true;
}

void World::NoteText(uint64_t member, std::string_view text) {
  Mix(member);
  MixBytes(text);
  Print(member, text);
}

void World::Print(uint64_t member, std::string_view text) {
  if (trace_ == nullptr) return;
  const std::string who = member == 0 ? "  --" : absl::StrFormat("%4x", member);
  absl::FPrintF(trace_, "%11.6f %s  %s\n", static_cast<double>(now()) / kSecond, who,
                absl::string_view(text.data(), text.size()));
}

void World::MixBytes(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  Mix(hash);
}

}  // namespace keel::sim
