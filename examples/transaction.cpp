// Transactions: a body that runs again when it collides, a guard, a savepoint, and a COMMIT without an answer.
//
//   transaction postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <cstdint>
#include <iostream>
#include <stdexcept>

namespace asio = boost::asio;

asio::awaitable<std::int64_t> transfer(trunkline::pool& pool, int from, int to, std::int64_t amount) {
    const auto body = [&](trunkline::transaction& tx) -> asio::awaitable<std::int64_t> {
        auto taken = co_await tx.query("UPDATE tour_account SET balance = balance - $2 WHERE id = $1 RETURNING balance",
                                       from, amount);
        if (taken.empty() || taken[0].get<std::int64_t>(0) < 0) {
            throw std::runtime_error{"not enough money"};  // rolled back, and thrown to who called
        }
        co_await tx.execute("UPDATE tour_account SET balance = balance + $2 WHERE id = $1", to, amount);
        co_return taken[0].get<std::int64_t>(0);
    };
    co_return co_await pool.transaction(body, {.isolation = trunkline::isolation_level::serializable});
}

asio::awaitable<void> add_interest(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    auto tx = co_await lease->begin();
    co_await tx.execute("UPDATE tour_account SET balance = balance + balance / 100");
    {
        auto optional = co_await tx.begin();  // a savepoint
        co_await optional.execute("DELETE FROM tour_account WHERE balance = 0");
        co_await optional.rollback();  // undoes the DELETE alone
    }
    co_await tx.commit();  // without this the destructor would see to a rollback
}

asio::awaitable<void> deposit(trunkline::pool& pool, int key, std::int64_t amount) {
    const auto body = [&](trunkline::transaction& tx) -> asio::awaitable<void> {
        // A key of the caller's own choice. This waits for a COMMIT of the same key that may be under way still.
        const auto fresh = co_await tx.execute("INSERT INTO tour_deposit VALUES ($1) ON CONFLICT DO NOTHING", key);
        if (fresh == 1) {
            co_await tx.execute("UPDATE tour_account SET balance = balance + $1 WHERE id = 1", amount);
        }
    };
    for (bool known = false; !known;) {
        known = true;
        try {
            co_await pool.transaction(body);
        } catch (const trunkline::error& failure) {
            if (failure.code() != trunkline::pool_errc::commit_unknown) {
                throw;
            }
            known = false;  // the same again, which does nothing if it is done
        }
    }
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_account (id int PRIMARY KEY, balance bigint NOT NULL)");
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_deposit (key int PRIMARY KEY)");
    co_await pool.query("INSERT INTO tour_account VALUES (1, 1000), (2, 0) ON CONFLICT DO NOTHING");
    const auto left = co_await transfer(pool, 1, 2, 300);
    std::cout << "left: " << left << '\n';
    co_await add_interest(pool);
    co_await deposit(pool, 1, 50);
    co_await deposit(pool, 1, 50);  // is done
    co_await pool.query("DROP TABLE tour_account, tour_deposit");
    co_await pool.close(std::chrono::seconds{5});
}

int main(int argc, char** argv) {
    asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    trunkline::pool pool{context.get_executor(), settings};
    asio::co_spawn(context, tour(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
