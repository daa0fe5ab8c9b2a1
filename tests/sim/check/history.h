// Histories of a key-value store: what clients asked and were told, and what
// the store itself says it wrote. Plain values; the checkers read them.
//
//   History history;
//   Operation put = PutOperation("k", "v7");
//   put.id = 7; put.invoked = now();
//   ... the answer comes:
//   put.returned = now(); put.outcome = Outcome::kOk; put.revision = response.header().revision();
//   put.results = {{}};
//   history.push_back(put);
//
// Every operation is a transaction: a lone put, delete or get is one with
// no compares and one action. Values that clients write should be unique over a
// run: an operation is recognised in the log by its values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/check/verdict.h"

namespace keel::sim {

using Nanos = int64_t;  // virtual time
inline constexpr Nanos kNever = INT64_MAX;

enum class Outcome : uint8_t {
  kOk,       // answered; the results are below
  kFail,     // it definitely did not and will not take effect
  kUnknown,  // timeout, lost connection, ...: it may have, or still may, or never
};

// A key as a read returns it.
struct KeyVersion {
  std::string key;
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;

  bool operator==(const KeyVersion&) const = default;
};

// etcd's rule of ranges: an empty `range_end` means the one key, "\0" all keys
// from `key` on, anything else [key, range_end).
bool InRange(std::string_view key, std::string_view first, std::string_view range_end);

struct Compare {
  enum class Target : uint8_t { kVersion, kCreate, kMod, kValue, kLease };
  enum class Result : uint8_t { kEqual, kGreater, kLess, kNotEqual };
  std::string key;
  Target target = Target::kVersion;
  Result result = Result::kEqual;
  int64_t number = 0;  // every target but kValue
  std::string value;   // kValue
};

struct Action {
  enum class Type : uint8_t { kPut, kDelete, kGet };
  Type type = Type::kGet;
  std::string key;
  std::string range_end;  // kDelete and kGet
  std::string value;      // kPut
  int64_t lease = 0;      // kPut
};

struct ActionResult {
  std::vector<KeyVersion> read;  // kGet: what was found, by key
  int64_t deleted = 0;           // kDelete: how many keys
};

struct Operation {
  uint64_t id = 0;  // unique in a history
  uint64_t client = 0;
  Nanos invoked = 0;
  Nanos returned = kNever;  // kNever while the outcome is unknown
  Outcome outcome = Outcome::kUnknown;

  std::vector<Compare> compares;  // all must hold, else `otherwise` runs
  std::vector<Action> then;
  std::vector<Action> otherwise;
  // A get that may be answered from a member's own state, however old. Only its
  // agreement with some revision is checked, not how recent that one is.
  bool serializable = false;
  int64_t at_revision = 0;  // a get of the past; 0: the present

  // With kOk only.
  bool succeeded = true;              // which branch ran
  int64_t revision = 0;               // of the answer's header
  std::vector<ActionResult> results;  // of the branch that ran, one per action

  const std::vector<Action>& Ran() const { return succeeded ? then : otherwise; }
};

using History = std::vector<Operation>;

Operation PutOperation(std::string key, std::string value, int64_t lease = 0);
Operation DeleteOperation(std::string key, std::string range_end = "");
Operation GetOperation(std::string key, std::string range_end = "");
// Puts `value` if the key was last written at `mod_revision` (0: does not exist).
Operation CasOperation(std::string key, int64_t mod_revision, std::string value);

// "put k=v7 (op 7, client 2, [1.000s, 1.250s], ok at revision 12)".
std::string Describe(const Operation& operation);

// One change of a key in a revision.
struct Write {
  enum class Type : uint8_t { kPut, kDelete };
  Type type = Type::kPut;
  KeyVersion kv;  // of a delete only key and mod_revision

  bool operator==(const Write&) const = default;
};

struct Revision {
  int64_t revision = 0;
  std::vector<Write> writes;
  Nanos at = 0;  // when the first member applied it; not compared between members
};

// The authoritative history: what the store wrote, revision by revision, as
// members publish it when they apply. Every member may add what it sees; the
// first makes history and the others must agree.
class WriteLog {
 public:
  // Violated when another member published the revision differently, or when it
  // is not the one after the last and does not exist yet. A member restored from a snapshot
  // just goes on adding after it.
  Verdict Add(Revision revision);

  // Revision 1 is the empty store: etcd's first write makes revision 2.
  int64_t last() const { return static_cast<int64_t>(revisions_.size()) + 1; }
  // Null when there is none.
  const Revision* Find(int64_t revision) const;
  const std::vector<Revision>& revisions() const { return revisions_; }  // from 2 on, in order

  // The key's newest version at or before `revision`; null when it does not exist then.
  const KeyVersion* At(const std::string& key, int64_t revision) const;
  // The same for a range, by key.
  std::vector<KeyVersion> RangeAt(const std::string& key, const std::string& range_end,
                                  int64_t revision) const;
  // Revisions (after the first, up to the second) that touch the key; for messages.
  std::vector<int64_t> Touching(const std::string& key, int64_t after, int64_t upto) const;

 private:
  std::vector<Revision> revisions_;
  // key → (revision, place in the revision); a delete has no version to show.
  std::map<std::string, std::vector<std::pair<int64_t, size_t>>, std::less<>> by_key_;
};

}  // namespace keel::sim
