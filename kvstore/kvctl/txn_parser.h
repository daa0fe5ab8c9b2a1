// The grammar of `txn`: compares, then requests, a line each.
//
//   mod("color") = "4"
//   value("a") != "x"
//
//   put color blue
//   get --prefix config/
//
//   get color
//
// that is: the compares, an empty line, what to do if all hold, an empty line,
// what to do otherwise, an empty line.
#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/kvctl/failure.h"

namespace keel::kvctl {

// Words apart by white space; "double quoted" ones are Go strings, 'single
// quoted' ones stand as they are. Fails on a malformed Go string.
Outcome SplitWords(std::string_view line, std::vector<std::string>* words);

// target("key") operator "operand"; targets: ver[sion], c[reate], m[od],
// val[ue], lease (in hexadecimal); operators: = != < >.
Outcome ParseCompare(const std::string& line, etcdserverpb::Compare* compare);

// get, put or del with their flags.
Outcome ParseOp(const std::string& line, etcdserverpb::RequestOp* op);

// Reads all three parts. `prompt`: gets a heading for each; null: none.
Outcome ReadTxn(std::istream& in, std::ostream* prompt, etcdserverpb::TxnRequest* txn);

}  // namespace keel::kvctl
