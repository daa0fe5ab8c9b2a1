#include "kvstore/kvctl/txn_parser.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/key_args.h"

namespace keel::kvctl {
namespace {

constexpr std::string_view kSpace = " \t\r\n\v\f";

void SkipSpace(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
}

// One line without its line feed; nullopt at the end of input, also when the
// last line lacks its line feed: half a transaction must not run.
std::optional<std::string> ReadLine(std::istream& in) {
  std::string line;
  if (!std::getline(in, line) || in.eof()) return std::nullopt;
  return line;
}

bool Blank(const std::string& line) { return line.find_first_not_of(kSpace) == std::string::npos; }

template <typename Add>
Outcome ReadPart(std::istream& in, Add add) {
  while (true) {
    const auto line = ReadLine(in);
    if (!line) return Fail(kExitInvalidInput, "EOF");
    if (Blank(*line)) return Success();
    if (Outcome added = add(*line); !added.ok()) return added;
  }
}

}  // namespace

Outcome SplitWords(std::string_view line, std::vector<std::string>* words) {
  words->clear();
  for (SkipSpace(line); !line.empty(); SkipSpace(line)) {
    if (line[0] == '"') {
      auto word = TakeQuoted(line);
      if (!word) return Fail(kExitInvalidInput, "malformed quoted string: " + std::string(line));
      words->push_back(*std::move(word));
    } else if (line[0] == '\'') {
      const size_t end = line.find('\'', 1);
      if (end == std::string_view::npos) {
        return Fail(kExitInvalidInput, "malformed quoted string: " + std::string(line));
      }
      words->emplace_back(line.substr(1, end - 1));
      line.remove_prefix(end + 1);
    } else {
      const size_t end = std::min(line.find_first_of(kSpace), line.size());
      words->emplace_back(line.substr(0, end));
      line.remove_prefix(end);
    }
  }
  return Success();
}

Outcome ParseCompare(const std::string& line, etcdserverpb::Compare* compare) {
  const auto malformed = [&](std::string why) {
    return Fail(kExitInvalidInput, base::StrCat("malformed comparison: ", line, why));
  };
  const auto invalid = [&] {
    return Fail(kExitInvalidInput, "invalid txn compare request: " + line);
  };

  std::string_view rest = line;
  SkipSpace(rest);
  const size_t paren = rest.find('(');
  if (paren == std::string_view::npos) return malformed("");
  const std::string_view target = rest.substr(0, paren);
  rest.remove_prefix(paren + 1);
  const auto key = TakeQuoted(rest);
  std::optional<std::string> operand;
  std::string_view op;
  if (key && rest.starts_with(')')) {
    rest.remove_prefix(1);
    SkipSpace(rest);
    op = rest.substr(0, rest.find_first_of(" \t\""));
    rest.remove_prefix(op.size());
    SkipSpace(rest);
    operand = TakeQuoted(rest);
  }
  if (!operand) {
    return malformed(
        base::StrCat("; got ", target, "(", Quote(key.value_or("")), ") ", op, " \"\""));
  }

  char result;
  if (op == "=" || op == "==") {
    result = '=';
  } else if (op == "!=") {
    result = '!';
  } else if (op == "<" || op == ">") {
    result = op[0];
  } else {
    return malformed(base::StrCat(" (unknown operator ", op, ")"));
  }

  if (target == "val" || target == "value") {
    *compare = kvstore::ValueIs(*key, result, *operand);
    return Success();
  }
  const auto number = ParseInt64(*operand, target == "lease" ? 16 : 10);
  if (target == "ver" || target == "version") {
    if (!number) return invalid();
    *compare = kvstore::VersionIs(*key, result, *number);
  } else if (target == "c" || target == "create") {
    if (!number) return invalid();
    *compare = kvstore::CreateRevisionIs(*key, result, *number);
  } else if (target == "m" || target == "mod") {
    if (!number) return invalid();
    *compare = kvstore::ModRevisionIs(*key, result, *number);
  } else if (target == "lease") {
    if (!number) return invalid();
    *compare = kvstore::LeaseIs(*key, result, *number);
  } else {
    return malformed(base::StrCat(" (unknown target ", target, ")"));
  }
  return Success();
}

Outcome ParseOp(const std::string& line, etcdserverpb::RequestOp* op) {
  std::vector<std::string> words;
  if (Outcome split = SplitWords(line, &words); !split.ok()) return split;
  if (words.size() < 2) return Fail(kExitInvalidInput, "invalid txn compare request: " + line);
  const std::string verb = words[0];
  // CLI11 wants the arguments last first.
  std::vector<std::string> arguments(words.rbegin(), words.rend() - 1);

  CLI::App app;
  const auto parse = [&]() -> bool {
    try {
      app.parse(arguments);
      return true;
    } catch (const CLI::ParseError&) {
      return false;
    }
  };
  const Outcome bad = Fail(kExitInvalidInput, "invalid txn request: " + line);
  if (verb == "get") {
    GetArgs args(&app);
    return parse() ? args.ToRequest(op->mutable_request_range()) : bad;
  }
  if (verb == "put") {
    PutArgs args(&app);
    return parse() ? args.ToRequest(nullptr, op->mutable_request_put()) : bad;
  }
  if (verb == "del") {
    DelArgs args(&app);
    return parse() ? args.ToRequest(op->mutable_request_delete_range()) : bad;
  }
  return bad;
}

Outcome ReadTxn(std::istream& in, std::ostream* prompt, etcdserverpb::TxnRequest* txn) {
  if (prompt != nullptr) *prompt << "compares:" << std::endl;
  Outcome read = ReadPart(
      in, [txn](const std::string& line) { return ParseCompare(line, txn->add_compare()); });
  if (!read.ok()) return read;
  if (prompt != nullptr) *prompt << "success requests (get, put, del):" << std::endl;
  read = ReadPart(in, [txn](const std::string& line) { return ParseOp(line, txn->add_success()); });
  if (!read.ok()) return read;
  if (prompt != nullptr) *prompt << "failure requests (get, put, del):" << std::endl;
  return ReadPart(in, [txn](const std::string& line) { return ParseOp(line, txn->add_failure()); });
}

}  // namespace keel::kvctl
