//! Partitions move between members, and epochs tell the last owner from all before.

use crate::rig::{config, open, shared, wait_until};
use nowcast_log_kafka::{
    Epoch, KafkaConfig, KafkaLog, Loss, Ownership, OwnershipConfig, OwnershipHandler,
};
use nowcast_types::PartitionId;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PARTITIONS: u16 = 6;

/// What members were told, in the order of telling.
#[derive(Debug, Default)]
struct Book {
    told: Vec<Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Acquired(usize, PartitionId, Epoch),
    Lost(usize, PartitionId, Epoch, Loss),
}

struct Writer {
    member: usize,
    book: Arc<Mutex<Book>>,
}

impl OwnershipHandler for Writer {
    fn acquired(&mut self, partition: PartitionId, epoch: Epoch) {
        let told = Told::Acquired(self.member, partition, epoch);
        self.book.lock().unwrap().told.push(told);
    }

    fn lost(&mut self, partition: PartitionId, epoch: Epoch, loss: Loss) {
        let told = Told::Lost(self.member, partition, epoch, loss);
        self.book.lock().unwrap().told.push(told);
    }
}

fn six_partitions() -> (KafkaConfig, impl Drop) {
    let kafka = shared();
    let config = KafkaConfig {
        partitions: PARTITIONS,
        ..config(&kafka.bootstrap())
    };
    (config, Held(kafka))
}

/// Keeps the brokers while a test runs.
struct Held<T>(T);

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let Self(_held) = self;
    }
}

fn join(config: &KafkaConfig, member: usize, book: &Arc<Mutex<Book>>) -> Ownership {
    let log = Arc::new(open(config.clone()).unwrap());
    let handler = Writer {
        member,
        book: book.clone(),
    };
    Ownership::start(log, &OwnershipConfig::default(), Box::new(handler)).unwrap()
}

fn counts(members: &[Ownership]) -> Vec<usize> {
    members.iter().map(|member| member.owned().len()).collect()
}

/// Epochs of a partition are given in growing order, and never while another owner was not yet
/// told of its loss (all members here are alive and well).
fn check_book(book: &Book) {
    let mut owners: BTreeMap<PartitionId, (usize, Epoch)> = BTreeMap::new();
    let mut highest: BTreeMap<PartitionId, Epoch> = BTreeMap::new();
    for told in &book.told {
        match *told {
            Told::Acquired(member, partition, epoch) => {
                let before = highest.insert(partition, epoch);
                assert!(before.is_none_or(|before| before < epoch), "{told:?}");
                let owner = owners.insert(partition, (member, epoch));
                assert!(owner.is_none_or(|(owner, _)| owner == member), "{told:?}");
            }
            Told::Lost(member, partition, epoch, _) => {
                assert_eq!(owners.remove(&partition), Some((member, epoch)), "{told:?}");
            }
        }
    }
}

#[test]
fn one_three_one_members_share_all_partitions_under_growing_epochs() {
    let (config, _kafka) = six_partitions();
    let book = Arc::default();
    let mut members = vec![join(&config, 0, &book)];
    wait_until("one owns all", || counts(&members) == [6]);
    let began = Instant::now();
    members.push(join(&config, 1, &book));
    members.push(join(&config, 2, &book));
    wait_until("three share", || counts(&members) == [2, 2, 2]);
    println!("1 to 3 took {:?}", began.elapsed());
    let began = Instant::now();
    members.remove(0).stop();
    members.remove(0).stop();
    wait_until("one has all again", || counts(&members) == [6]);
    println!("3 to 1 took {:?}", began.elapsed());
    let log = open(config).unwrap();
    for (partition, epoch) in members[0].owned() {
        assert_eq!(Ownership::latest_epoch(&log, partition).unwrap(), epoch);
    }
    drop(members);
    let book = book.lock().unwrap();
    check_book(&book);
    let is_kept = |p| {
        let of_first = |told: &&Told| matches!(told, Told::Lost(0, q, _, Loss::Revoked) if *q == p);
        book.told.iter().find(of_first).is_none()
    };
    let kept = (0..PARTITIONS).filter(|p| is_kept(PartitionId(*p)));
    assert_eq!(kept.count(), 2, "what need not move stays where it is");
}

#[test]
fn a_reclaim_gives_a_higher_epoch_without_a_loss() {
    let (config, _kafka) = six_partitions();
    let book = Arc::default();
    let members = [join(&config, 0, &book)];
    wait_until("one owns all", || counts(&members) == [6]);
    let (partition, before) = members[0].owned()[3];
    members[0].reclaim(partition);
    let epoch = || members[0].owned()[3].1;
    wait_until("the epoch grows", || epoch() > before);
    let losses = book
        .lock()
        .unwrap()
        .told
        .iter()
        .any(|t| matches!(t, Told::Lost(..)));
    assert!(!losses);
    assert_eq!(members[0].owned().len(), 6);
}

#[test]
fn positions_told_for_tools_are_the_groups_committed_offsets() {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let (config, kafka) = six_partitions();
    let book = Arc::default();
    let members = [join(&config, 0, &book)];
    wait_until("one owns all", || counts(&members) == [6]);
    members[0].commit_for_tools(PartitionId(4), 77).unwrap();
    let tool: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", config.brokers.join(","))
        .set("group.id", format!("{}.process", config.topic_prefix))
        .create()
        .unwrap();
    wait_until("the tool sees it", || {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(&format!("{}.events", config.topic_prefix), 4);
        let committed = tool.committed_offsets(list, Duration::from_secs(10));
        committed.is_ok_and(|list| list.elements()[0].offset() == rdkafka::Offset::Offset(77))
    });
    drop(kafka);
}

const MEMBER_OF: &str = "NOWCAST_TEST_MEMBER_OF";

/// Does nothing by itself: the other process of the test below.
#[test]
fn member_process() {
    let Ok(text) = std::env::var(MEMBER_OF) else {
        return;
    };
    let (brokers, prefix) = text.split_once('/').unwrap();
    let config = KafkaConfig {
        topic_prefix: prefix.to_owned(),
        partitions: PARTITIONS,
        ..config(brokers)
    };
    struct Printer;
    impl OwnershipHandler for Printer {
        fn acquired(&mut self, partition: PartitionId, epoch: Epoch) {
            println!("\nacquired {} {}", partition.0, epoch.0);
        }
        fn lost(&mut self, partition: PartitionId, epoch: Epoch, loss: Loss) {
            println!("\nlost {} {} {loss:?}", partition.0, epoch.0);
        }
    }
    let log: Arc<KafkaLog> = Arc::new(open(config).unwrap());
    let _member = Ownership::start(log, &OwnershipConfig::default(), Box::new(Printer)).unwrap();
    // Until the other process ends this one.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn spawn_member(config: &KafkaConfig, told: &Arc<Mutex<Vec<String>>>) -> Child {
    let place = format!("{}/{}", config.brokers.join(","), config.topic_prefix);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ownership::member_process", "--nocapture"])
        .env(MEMBER_OF, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = told.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            told.lock().unwrap().push(line);
        }
    });
    child
}

#[test]
fn a_frozen_owner_is_replaced_under_higher_epochs_and_learns_of_it_when_it_wakes() {
    let (config, _kafka) = six_partitions();
    drop(open(config.clone()).unwrap());
    let told = Arc::default();
    let mut frozen = spawn_member(&config, &told);
    let pid = Pid::from_child(&frozen);
    let lines = |word: &str| {
        let told: Vec<String> = told.lock().unwrap().clone();
        let said = told.into_iter().filter(|line| line.starts_with(word));
        said.collect::<Vec<_>>()
    };
    wait_until("the other process owns all", || {
        lines("acquired").len() == 6
    });
    kill_process(pid, Signal::STOP).unwrap();
    let began = Instant::now();
    let book = Arc::default();
    let members = [join(&config, 1, &book)];
    wait_until("the frozen owner is replaced", || counts(&members) == [6]);
    println!("takeover took {:?}", began.elapsed());
    let epochs: BTreeMap<String, u64> = lines("acquired")
        .iter()
        .map(|line| {
            let mut words = line.split(' ').skip(1);
            let partition = words.next().unwrap().to_owned();
            (partition, words.next().unwrap().parse().unwrap())
        })
        .collect();
    for (partition, epoch) in members[0].owned() {
        assert!(
            epoch.0 > epochs[&partition.0.to_string()],
            "a store can tell"
        );
    }
    kill_process(pid, Signal::CONT).unwrap();
    wait_until("it learns that it lost all", || lines("lost").len() == 6);
    assert!(lines("lost").iter().all(|line| line.ends_with("Expired")));
    // It is a member again; between the two of them nobody owns anything twice.
    wait_until("two share", || {
        counts(&members) == [3] && lines("acquired").len() == 9
    });
    check_book(&book.lock().unwrap());
    kill_process(pid, Signal::KILL).unwrap();
    frozen.wait().unwrap();
}
