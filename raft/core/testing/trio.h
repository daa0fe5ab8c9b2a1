// A leader and two followers in one thread, logs in memory, durable at once: for
// benchmarks of the core alone.
//
//   Trio trio;                             // rafts[0] leads
//   trio.rafts[0]->Propose(data);
//   trio.Settle();                         // all three have it as committed
//
// One thread only.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "raft/core/memory_log.h"
#include "raft/core/raft.h"

namespace keel::raft {

struct Trio {
  Trio() {
    for (NodeId id = 1; id <= 3; ++id) {
      Config config;
      config.id = id;
      config.random = [id](uint64_t n) { return id % n; };
      rafts.push_back(std::make_unique<Raft>(config, &logs[id - 1], HardState{},
                                             ConfState{.voters = {1, 2, 3}}, 0));
    }
    rafts[0]->Campaign();
    Settle();
    KEEL_CHECK(rafts[0]->role() == Role::kLeader);
  }

  void Settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t i = 0; i < 3; ++i) {
        Raft& raft = *rafts[i];
        while (raft.HasReady()) {
          moved = true;
          Ready ready = raft.TakeReady();
          logs[i].Append(ready.entries);
          for (auto* list : {&ready.messages, &ready.persisted_messages}) {
            messages += list->size();
            for (Message& m : *list) inbox[m.to - 1].push_back(std::move(m));
          }
          raft.Persisted(ready.id);
          if (!ready.committed.empty()) {
            const Index last = ready.committed.back().index;
            raft.Applied(last);
            if (logs[i].LastIndex() - logs[i].FirstIndex() > 100'000) {
              logs[i].SetSnapshot({last, *logs[i].TermAt(last), {.voters = {1, 2, 3}}});
              logs[i].Compact(last);
            }
          }
          for (const ReadState& read : ready.reads) reads += read.index > 0;
        }
        for (Message& m : std::exchange(inbox[i], {})) {
          moved = true;
          raft.Step(std::move(m)).IgnoreError();
        }
      }
    }
  }

  MemoryLog logs[3];
  std::vector<std::unique_ptr<Raft>> rafts;
  std::vector<Message> inbox[3];
  uint64_t messages = 0;
  uint64_t reads = 0;
};

}  // namespace keel::raft
