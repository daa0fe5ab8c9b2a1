// Memory of lists that were handed out in a Ready and came back (Raft::Recycle):
// with it the replicate path allocates nothing in a steady state.
//
//   std::vector<Entry> entries = spares.Entries();   // empty; may have capacity
//   spares.Give(std::move(entries));
//
// Bounded: what is beyond kListsMax lists, or a list of more than
// kItemsMax items, is freed.
#pragma once

#include <utility>
#include <vector>

#include "raft/core/types.h"

namespace keel::raft {

class Spares {
 public:
  static constexpr size_t kListsMax = 32;
  static constexpr size_t kItemsMax = 4096;

  std::vector<Entry> Entries() { return Take(&entries_); }
  std::vector<Message> Messages() { return Take(&messages_); }

  void Give(std::vector<Entry> list) { Keep(&entries_, std::move(list)); }
  // The messages' entries are kept too.
  void Give(std::vector<Message> list) {
    for (Message& m : list) Give(std::move(m.entries));
    Keep(&messages_, std::move(list));
  }

 private:
  template <typename T>
  static std::vector<T> Take(std::vector<std::vector<T>>* lists) {
    if (lists->empty()) return {};
    std::vector<T> list = std::move(lists->back());
    lists->pop_back();
    return list;
  }

  template <typename T>
  static void Keep(std::vector<std::vector<T>>* lists, std::vector<T> list) {
    if (list.capacity() == 0 || list.capacity() > kItemsMax || lists->size() >= kListsMax) return;
    list.clear();
    lists->push_back(std::move(list));
  }

  std::vector<std::vector<Entry>> entries_;
  std::vector<std::vector<Message>> messages_;
};

}  // namespace keel::raft
