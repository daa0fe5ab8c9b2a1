// The flags and arguments of get, put and del: of the verbs, and of the lines
// of a transaction.
#pragma once

#include <CLI/CLI.hpp>
#include <istream>
#include <memory>
#include <string>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/kvctl/failure.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {

// Each is bound to an App by its constructor, which must outlive parsing; after
// it, ToRequest checks what was given.

class GetArgs {
 public:
  explicit GetArgs(CLI::App* app);
  Outcome ToRequest(etcdserverpb::RangeRequest* request) const;

  bool print_value_only = false;
  bool count_only = false;

 private:
  Arguments arguments_;
  std::string consistency_ = "l", order_, sort_by_;
  int64_t limit_ = 0, revision_ = 0;
  bool prefix_ = false, from_key_ = false, keys_only_ = false;
};

class PutArgs {
 public:
  explicit PutArgs(CLI::App* app);
  // `values`: where the value comes from when no argument is it; null: nowhere.
  Outcome ToRequest(std::istream* values, etcdserverpb::PutRequest* request) const;

 private:
  Arguments arguments_;
  std::string lease_ = "0";
  bool prev_kv_ = false, ignore_value_ = false, ignore_lease_ = false;
};

class DelArgs {
 public:
  explicit DelArgs(CLI::App* app);
  Outcome ToRequest(etcdserverpb::DeleteRangeRequest* request) const;

 private:
  Arguments arguments_;
  bool prefix_ = false, from_key_ = false, prev_kv_ = false;
};

// [key, range_end) of --prefix and --from-key.
Outcome SetRange(bool prefix, bool from_key, std::string* key, std::string* range_end);

}  // namespace keel::kvctl
