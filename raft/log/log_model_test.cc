// The log against a vector, through random operations and reopenings.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "raft/log/test_util.h"

namespace keel::raft {
namespace {

struct Model {
  LogPoint base;
  std::vector<Entry> entries;
  HardState state;
  Index last() const { return base.index + entries.size(); }
};

void CheckSame(TestLog& t, const Model& model) {
  RC_ASSERT(t.log->FirstIndex() == model.base.index + 1);
  RC_ASSERT(t.log->LastIndex() == model.last());
  RC_ASSERT(*t.log->TermAt(model.base.index) == model.base.term);
  const auto got = t.All();
  RC_ASSERT(got.size() == model.entries.size());
  for (size_t i = 0; i < got.size(); ++i) {
    RC_ASSERT(Same(got[i], model.entries[i]));
    RC_ASSERT(*t.log->TermAt(got[i].index) == got[i].term);
  }
}

RC_GTEST_PROP(LogModelTest, BehavesAsAVector, ()) {
  TempDir dir("log_model_test");
  LogOptions options = TestLog::Options(dir.path());
  options.segment_bytes = *rc::gen::element<uint64_t>(4096, 16384, 65536);
  options.memory_bytes = *rc::gen::element<uint64_t>(0, 2000, 1 << 20);
  auto t = std::make_unique<TestLog>();
  RC_ASSERT(t->Open(options).ok());
  Model model;
  Term term = 1;
  const int steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    const int what = *rc::gen::inRange(0, 12);
    if (what < 6) {  // Append, often over a suffix; some without waiting.
      Index first = model.last() + 1;
      if (what < 2 && !model.entries.empty()) {
        first -= *rc::gen::inRange<uint64_t>(0, std::min<uint64_t>(model.entries.size(), 20) + 1);
        ++term;
      }
      const auto count = *rc::gen::inRange<uint64_t>(1, 12);
      const auto entries =
          MakeEntries(first, first + count - 1, term, *rc::gen::element<size_t>(0, 50, 900, 3000));
      LogWrite write;
      write.entries = entries;
      if (model.state.term != term) {
        model.state.term = term;
        write.hard_state = model.state;
      }
      model.entries.resize(first - model.base.index - 1);
      model.entries.insert(model.entries.end(), entries.begin(), entries.end());
      t->log->Append(std::move(write), nullptr);
      if (what % 2 == 0) t->loop.RunUntilIdle();
    } else if (what < 8) {
      t->loop.RunUntilIdle();
      if (!model.entries.empty()) {
        const auto drop = *rc::gen::inRange<uint64_t>(0, model.entries.size()) + 1;
        model.base = {model.base.index + drop, model.entries[drop - 1].term};
        model.entries.erase(model.entries.begin(), model.entries.begin() + static_cast<long>(drop));
        t->log->Truncate(model.base.index);
      }
    } else if (what == 8) {
      model.base = {model.last() + *rc::gen::inRange<uint64_t>(1, 50), ++term};
      model.entries.clear();
      model.state.term = term;
      LogWrite write;
      write.reset = model.base;
      write.hard_state = model.state;
      t->log->Append(std::move(write), nullptr);
    } else if (what < 11) {
      t->loop.RunUntilIdle();
      t = std::make_unique<TestLog>();
      RC_ASSERT(t->Open(options).ok());
      RC_ASSERT(t->log->hard_state().term == model.state.term);
    }
    CheckSame(*t, model);
  }
}

}  // namespace
}  // namespace keel::raft
