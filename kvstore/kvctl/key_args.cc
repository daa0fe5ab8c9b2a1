#include "kvstore/kvctl/key_args.h"

#include <cctype>
#include <iterator>
#include <utility>

#include "base/strings.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/go_format.h"

namespace keel::kvctl {
namespace {

using etcdserverpb::RangeRequest;

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// key [range_end], with --prefix or --from-key instead of range_end.
Outcome KeyAndEnd(const std::vector<std::string>& given, const char* verb, bool prefix,
                  bool from_key, std::string* key, std::string* range_end) {
  if (prefix && from_key) {
    return Fail(kExitBadArgs,
                "`--prefix` and `--from-key` cannot be set at the same time, choose one");
  }
  if (given.empty() || given.size() > 2) {
    return Fail(
        kExitBadArgs,
        base::StrCat(verb,
                     " command needs one argument as key and an optional argument as range_end"));
  }
  if (given.size() > 1 && (prefix || from_key)) {
    return Fail(
        kExitBadArgs,
        "too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
  }
  *key = given[0];
  if (given.size() > 1) *range_end = given[1];
  return SetRange(prefix, from_key, key, range_end);
}

}  // namespace

Outcome SetRange(bool prefix, bool from_key, std::string* key, std::string* range_end) {
  if (prefix) *range_end = kvstore::PrefixEnd(*key);
  if (from_key) *range_end = kvstore::kAllEnd;
  if ((prefix || from_key) && key->empty()) *key = kvstore::kAllEnd;
  return Success();
}

GetArgs::GetArgs(CLI::App* app) : arguments_(app, {"<key>", "[range_end]"}) {
  app->add_option("--consistency", consistency_, "linearizable (l) or serializable (s)");
  app->add_option("--order", order_, "of the results: ASCEND or DESCEND");
  app->add_option("--sort-by", sort_by_, "CREATE, KEY, MODIFY, VALUE or VERSION");
  app->add_option("--limit", limit_, "most results (0: all)");
  app->add_option("--rev", revision_, "revision to read at (0: the newest)");
  app->add_flag("--prefix", prefix_, "every key that begins with the one given");
  app->add_flag("--from-key", from_key_, "every key from the one given on");
  app->add_flag("--keys-only", keys_only_, "no values");
  app->add_flag("--count-only", count_only, "nothing but the count");
  app->add_flag("--print-value-only", print_value_only, "no keys (with -w simple)");
}

Outcome GetArgs::ToRequest(RangeRequest* request) const {
  if (keys_only_ && count_only) {
    return Fail(kExitBadArgs,
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one");
  }
  if (consistency_ == "s") {
    request->set_serializable(true);
  } else if (consistency_ != "l") {
    return Fail(kExitBadFeature, "unknown consistency flag " + Quote(consistency_));
  }
  Outcome range = KeyAndEnd(arguments_.Get(), "get", prefix_, from_key_, request->mutable_key(),
                            request->mutable_range_end());
  if (!range.ok()) return range;
  request->set_limit(limit_);
  request->set_revision(revision_);
  request->set_keys_only(keys_only_);
  request->set_count_only(count_only);

  const std::string order = Upper(order_), target = Upper(sort_by_);
  if (order == "ASCEND") {
    request->set_sort_order(RangeRequest::ASCEND);
  } else if (order == "DESCEND") {
    request->set_sort_order(RangeRequest::DESCEND);
  } else if (!order.empty()) {
    return Fail(kExitBadFeature, "bad sort order " + order_);
  }
  static constexpr std::pair<std::string_view, RangeRequest::SortTarget> kTargets[] = {
      {"", RangeRequest::KEY},          {"KEY", RangeRequest::KEY},
      {"CREATE", RangeRequest::CREATE}, {"MODIFY", RangeRequest::MOD},
      {"VALUE", RangeRequest::VALUE},   {"VERSION", RangeRequest::VERSION}};
  const auto found = std::find_if(std::begin(kTargets), std::end(kTargets),
                                  [&](const auto& one) { return one.first == target; });
  if (found == std::end(kTargets)) return Fail(kExitBadFeature, "bad sort target " + sort_by_);
  request->set_sort_target(found->second);
  return Success();
}

PutArgs::PutArgs(CLI::App* app) : arguments_(app, {"<key>", "[value]"}) {
  app->add_option("--lease", lease_, "lease (in hexadecimal) that the key dies with");
  app->add_flag("--prev-kv", prev_kv_, "print what was there before");
  app->add_flag("--ignore-value", ignore_value_, "keep the present value");
  app->add_flag("--ignore-lease", ignore_lease_, "keep the present lease");
}

Outcome PutArgs::ToRequest(std::istream* values, etcdserverpb::PutRequest* request) const {
  static constexpr const char* kUsage =
      "put command needs 1 argument and input from stdin or 2 arguments";
  const std::vector<std::string> given = arguments_.Get();
  if (given.empty() || given.size() > 2) return Fail(kExitBadArgs, kUsage);
  if (ignore_value_ && given.size() > 1) {
    return Fail(kExitBadArgs, "put command needs only 1 argument when 'ignore-value' is set");
  }
  request->set_key(given[0]);
  if (given.size() > 1) {
    request->set_value(given[1]);
  } else if (!ignore_value_) {
    if (values == nullptr) return Fail(kExitBadArgs, kUsage);
    std::string value((std::istreambuf_iterator<char>(*values)), std::istreambuf_iterator<char>());
    if (value.empty()) return Fail(kExitBadArgs, kUsage);
    request->set_value(std::move(value));
  }
  const auto lease = ParseInt64(lease_, 16);
  if (!lease) {
    return Fail(kExitBadArgs,
                base::StrCat("bad lease ID (strconv.ParseInt: parsing ", Quote(lease_),
                             ": invalid syntax), expecting ID in Hex"));
  }
  request->set_lease(*lease);
  request->set_prev_kv(prev_kv_);
  request->set_ignore_value(ignore_value_);
  request->set_ignore_lease(ignore_lease_);
  return Success();
}

DelArgs::DelArgs(CLI::App* app) : arguments_(app, {"<key>", "[range_end]"}) {
  app->add_flag("--prefix", prefix_, "every key that begins with the one given");
  app->add_flag("--from-key", from_key_, "every key from the one given on");
  app->add_flag("--prev-kv", prev_kv_, "print what was deleted");
}

Outcome DelArgs::ToRequest(etcdserverpb::DeleteRangeRequest* request) const {
  request->set_prev_kv(prev_kv_);
  return KeyAndEnd(arguments_.Get(), "del", prefix_, from_key_, request->mutable_key(),
                   request->mutable_range_end());
}

}  // namespace keel::kvctl
