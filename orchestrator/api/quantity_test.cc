#include "orchestrator/api/quantity.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

std::string Canonical(std::string_view text) {
  const auto parsed = Quantity::Parse(text);
  return parsed.ok() ? parsed->ToString() : std::string(base::ToStd(parsed.status().message()));
}

TEST(Quantity, HasOneCanonicalText) {
  for (const auto& [text, canonical] : std::initializer_list<std::pair<const char*, const char*>>{
           {"0", "0"},          {"100m", "100m"},     {"1.5", "1500m"},     {"1000m", "1"},
           {"1000", "1k"},      {"1024", "1024"},     {"1024Ki", "1Mi"},    {"1Gi", "1Gi"},
           {"1.5Gi", "1536Mi"}, {"0.5Mi", "512Ki"},   {"1e3", "1e3"},       {"1E3", "1e3"},
           {"1E", "1E"},        {"12e4", "120e3"},    {"-1.5Ki", "-1536"},  {"512", "512"},
           {"0.5Ki", "512"},    {".5", "500m"},       {"5.", "5"},          {"+1", "1"},
           {"1n", "1n"},        {"0.1n", "1n"},       {"-0.1n", "-1n"},     {"1u", "1u"},
           {"100Mi", "100Mi"},  {"1500Ki", "1500Ki"}, {"0.001Ki", "1024m"}, {"1e-3", "1e-3"},
       }) {
    EXPECT_EQ(Canonical(text), canonical) << text;
  }
}

TEST(Quantity, RefusesWhatIsNone) {
  constexpr char kFormat[] =
      "quantities must match the regular expression "
      "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  for (const char* bad : {"", "a", "-", "1 ", " 1", "1x", "1Gib", "m"}) {
    EXPECT_EQ(Canonical(bad), kFormat) << bad;
  }
  EXPECT_EQ(Canonical("1.2.3"), "unable to parse numeric part of quantity");
  for (const char* bad : {"1kk", "1K", "1e", "1mi", "1e+"}) {
    EXPECT_EQ(Canonical(bad), "unable to parse quantity's suffix") << bad;
  }
}

TEST(Quantity, IsCutToTheRangeOfInt64) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const char* huge : {"100E", "1e100", "16Ei", "99999999999999999999999999999999999999999",
                           "1e999999999", "1000000000000000000000000000000Ei"}) {
    const auto parsed = Quantity::Parse(huge);
    ASSERT_TRUE(parsed.ok()) << huge;
    EXPECT_EQ(parsed->Value(), kMax) << huge;
    EXPECT_EQ(parsed->MilliValue(), kMax) << huge;
  }
  EXPECT_EQ((*Quantity::Parse("5E") + *Quantity::Parse("5E")).Value(), kMax);
  EXPECT_EQ((*Quantity::Parse("-5E") - *Quantity::Parse("5E")).Value(), -kMax);
  EXPECT_TRUE(Quantity::Parse("1e-100")->Sign() > 0);
}

TEST(Quantity, ComparesAndAdds) {
  EXPECT_EQ(*Quantity::Parse("1Gi"), *Quantity::Parse("1024Mi"));
  EXPECT_LT(*Quantity::Parse("999m"), *Quantity::Parse("1"));
  EXPECT_GT(*Quantity::Parse("1Gi"), *Quantity::Parse("1G"));
  Quantity sum;
  sum += *Quantity::Parse("512Mi");
  sum += *Quantity::Parse("512Mi");
  EXPECT_EQ(sum.ToString(), "1Gi");
  EXPECT_EQ(Quantity::Parse("1.0001")->MilliValue(), 1001);
  EXPECT_EQ(Quantity::Parse("1m")->Value(), 1);
  EXPECT_EQ(Quantity::FromJson(json::value(0.5))->ToString(), "500m");
  EXPECT_EQ(Quantity::FromJson(json::value(3))->ToString(), "3");
  EXPECT_FALSE(Quantity::FromJson(json::value(true)).ok());
}

TEST(Quantity, ItsTextReadsBackAsItself) {
  rc::check([](int64_t milli) {
    const Quantity q = Quantity::FromMilli(milli);
    const auto back = Quantity::Parse(q.ToString());
    RC_ASSERT(back.ok());
    RC_ASSERT(*back == q);
    RC_ASSERT(back->ToString() == q.ToString());
  });
}

}  // namespace
}  // namespace keel::orchestrator
