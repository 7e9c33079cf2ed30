#include "dpdk/eth_device.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

namespace sekisho::dpdk {

namespace {

uint8_t checksum_flags(uint64_t offload_flags) {
    uint8_t flags = 0;
    const uint64_t ip = offload_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD) {
        flags |= packet::kIpChecksumGood;
    } else if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD) {
        flags |= packet::kIpChecksumBad;
    }
    if ((offload_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD) {
        flags |= packet::kL4ChecksumBad;
    }
    return flags;
}

uint64_t rss_fields(config::Side side) {
    return side == config::Side::kInternal ? RTE_ETH_RSS_L3_SRC_ONLY : RTE_ETH_RSS_L3_DST_ONLY;
}

}  // namespace

unsigned EthQueue::receive(std::span<PacketRef> out) {
    std::array<rte_mbuf*, packet::kBurst> mbufs;
    const auto room = static_cast<uint16_t>(std::min(out.size(), mbufs.size()));
    const unsigned n = rte_eth_rx_burst(port_, queue_, mbufs.data(), room);
    for (unsigned i = 0; i < n; ++i) {
        rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));
    }
    for (unsigned i = 0; i < n; ++i) {
        rte_mbuf* mbuf = mbufs[i];
        PacketRef& packet = out[i];
        packet = PacketRef{};
        packet.data = rte_pktmbuf_mtod(mbuf, uint8_t*);
        packet.handle = mbuf;
        packet.length = mbuf->data_len;
        packet.frame_length = static_cast<uint16_t>(std::min<uint32_t>(mbuf->pkt_len, UINT16_MAX));
        packet.headroom = mbuf->data_off;
        packet.in_link = first_link_;
        packet.flags = checksum_flags(mbuf->ol_flags);
    }
    return n;
}

unsigned EthQueue::send(std::span<PacketRef> packets) {
    std::array<rte_mbuf*, packet::kBurst> mbufs;
    unsigned sent = 0;
    while (sent < packets.size()) {
        const unsigned n = static_cast<unsigned>(std::min(packets.size() - sent, mbufs.size()));
        for (unsigned i = 0; i < n; ++i) {
            sync_mbuf(packets[sent + i]);
            mbufs[i] = static_cast<rte_mbuf*>(packets[sent + i].handle);
        }
        const unsigned done =
            rte_eth_tx_burst(port_, queue_, mbufs.data(), static_cast<uint16_t>(n));
        sent += done;
        if (done < n) {
            break;
        }
    }
    return sent;
}

Result<std::unique_ptr<EthDevice>> EthDevice::probe(const EthDevicePlan& plan, Eal& eal) {
    if (auto fits = check_device(plan.device, plan.mtu); !fits) {
        return tl::unexpected(fits.error());
    }
    std::unique_ptr<EthDevice> device(new EthDevice);
    device->text_ = plan.device.text;
    device->kernel_interface_ = kernel_interface(plan.device);
    device->arguments_ = device_arguments(plan.device, plan.index, plan.queues);
    const DeviceArguments* arguments = &device->arguments_;
    eal.logged();
    // A PCI device was claimed by EAL at its start; a virtual one is made now.
    if (!arguments->pci && rte_dev_probe(arguments->probe.c_str()) < 0) {
        const std::string reason = eal.logged();
        // Some drivers refuse more queues than the interface has; one queue always is an answer.
        device->arguments_ = device_arguments(plan.device, plan.index, 1);
        if (plan.queues == 1 || rte_dev_probe(arguments->probe.c_str()) < 0) {
            arguments = nullptr;
            const std::string text = std::move(device->text_);
            device->arguments_.name.clear();
            return failure(fmt::format(
                "device {} cannot be opened: {}",
                text,
                reason.empty() ? "its driver gives no reason" : reason
            ));
        }
    }
    if (rte_eth_dev_get_port_by_name(arguments->name.c_str(), &device->port_) != 0) {
        device->arguments_.name.clear();
        return failure(
            fmt::format("device {} has no DPDK driver here: {}", plan.device.text, eal.logged())
        );
    }
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(device->port_, &info) != 0) {
        return failure(
            fmt::format("device {} does not say what it can do: {}", plan.device.text, eal.logged())
        );
    }
    device->most_queues_ = std::max<unsigned>(1, std::min(info.max_rx_queues, info.max_tx_queues));
    if (const unsigned limit = queue_limit(plan.device.kind); limit != 0) {
        device->most_queues_ = std::min(device->most_queues_, limit);
    }
    return device;
}

// Configures with the RSS fields that steering wants, or, where the driver honours less, without
// RSS.
Result<void> EthDevice::configure(const EthDevicePlan& plan, Eal& eal) {
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(port_, &info);
    const auto queues = static_cast<uint16_t>(plan.queues);
    rte_eth_conf conf{};
    conf.rxmode.mtu = std::min(plan.mtu, info.max_mtu == 0 ? plan.mtu : info.max_mtu);
    if (arguments_.pci) {
        conf.rxmode.offloads =
            info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
                                    RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
    }
    steering_ =
        queues == 1 ? "one queue" : fmt::format("{} queues, spread as the device likes", queues);
    std::array<uint8_t, 64> key{};
    if (queues > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_IPV4) != 0) {
        const auto& wanted = *plan.toeplitz_key;
        std::copy(wanted.begin(), wanted.end(), key.begin());
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        if (info.hash_key_size >= wanted.size() && info.hash_key_size <= key.size()) {
            conf.rx_adv_conf.rss_conf.rss_key = key.data();
            conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
        }
        conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4 | rss_fields(plan.side);
        if (rte_eth_dev_configure(port_, queues, queues, &conf) == 0) {
            steering_ = fmt::format(
                "{} queues, RSS on the {} address",
                queues,
                plan.side == config::Side::kInternal ? "source" : "destination"
            );
            return {};
        }
        conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4;
        steering_ =
            fmt::format("{} queues, RSS on both addresses (the NIC has no finer choice)", queues);
        if (rte_eth_dev_configure(port_, queues, queues, &conf) == 0) {
            return {};
        }
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
        conf.rx_adv_conf = {};
        steering_ = fmt::format("{} queues, the NIC refuses RSS", queues);
    }
    eal.logged();
    if (const int status = rte_eth_dev_configure(port_, queues, queues, &conf); status != 0) {
        return failure(fmt::format(
            "device {} refuses {} queues: {} ({})",
            text_,
            queues,
            rte_strerror(-status),
            eal.logged()
        ));
    }
    return {};
}

// The redirection table that puts each hash on the queue of its shard's worker.
bool EthDevice::set_rss(const EthDevicePlan& plan) {
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(port_, &info);
    if (plan.queues == 1 || info.reta_size == 0 || info.reta_size > RTE_ETH_RSS_RETA_SIZE_512) {
        return false;
    }
    std::array<rte_eth_rss_reta_entry64, RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE>
        reta{};
    for (unsigned i = 0; i < info.reta_size; ++i) {
        auto& group = reta[i / RTE_ETH_RETA_GROUP_SIZE];
        group.mask |= uint64_t{1} << (i % RTE_ETH_RETA_GROUP_SIZE);
        group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = static_cast<uint16_t>(
            plan.queue_of_shard[plan.table->entries[i % ShardTable::kEntries].value]
        );
    }
    return rte_eth_dev_rss_reta_update(port_, reta.data(), info.reta_size) == 0;
}

Result<void> EthDevice::set_up_queues(const EthDevicePlan& plan, Eal& eal) {
    uint16_t rx = kRxDescriptors;
    uint16_t tx = kTxDescriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(port_, &rx, &tx);
    for (uint16_t q = 0; q < plan.queues; ++q) {
        const auto node = static_cast<unsigned>(numa_node());
        if (rte_eth_rx_queue_setup(port_, q, rx, node, nullptr, plan.stores[q]->pool()) != 0 ||
            rte_eth_tx_queue_setup(port_, q, tx, node, nullptr) != 0) {
            return failure(fmt::format("device {} refuses queue {}: {}", text_, q, eal.logged()));
        }
        queues_.push_back(std::make_unique<EthQueue>(port_, q, plan.first_link));
    }
    return {};
}

Result<void> EthDevice::start(const EthDevicePlan& plan, Eal& eal) {
    if (auto done = configure(plan, eal); !done) {
        return done;
    }
    if (auto done = set_up_queues(plan, eal); !done) {
        return done;
    }
    if (const int status = rte_eth_dev_start(port_); status != 0) {
        return failure(fmt::format(
            "device {} does not start: {} ({})", text_, rte_strerror(-status), eal.logged()
        ));
    }
    started_ = true;
    if (set_rss(plan)) {
        steering_ += ", table programmed";
    }
    return {};
}

EthDevice::~EthDevice() {
    if (arguments_.name.empty()) {
        return;
    }
    if (started_) {
        rte_eth_dev_stop(port_);
    }
    rte_eth_dev_close(port_);
}

MacAddr EthDevice::mac() const {
    rte_ether_addr address{};
    rte_eth_macaddr_get(port_, &address);
    MacAddr mac;
    std::memcpy(mac.bytes, address.addr_bytes, sizeof(mac.bytes));
    return mac;
}

bool EthDevice::is_up() const {
    if (kernel_interface_) {
        return kernel_interface_->is_running();
    }
    rte_eth_link link{};
    return rte_eth_link_get_nowait(port_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

dataplane::DeviceStats EthDevice::stats() const {
    rte_eth_stats stats{};
    rte_eth_stats_get(port_, &stats);
    return {
        stats.ipackets,
        stats.ibytes,
        stats.imissed,
        stats.ierrors,
        stats.opackets,
        stats.obytes,
        stats.oerrors,
        stats.rx_nombuf};
}

std::string EthDevice::driver() const {
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(port_, &info);
    return info.driver_name == nullptr ? "unknown" : info.driver_name;
}

int EthDevice::numa_node() const {
    return std::max(0, rte_eth_dev_socket_id(port_));
}

}  // namespace sekisho::dpdk
