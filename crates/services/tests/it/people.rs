//! Services that stay up until they are taken down.

use nowcast_services::people;
use nowcast_services::redis::command;

/// Uses the service that a developer is least likely to have up: there is one per user.
const SERVICE: &str = "redis-sentinel";

#[test]
fn a_service_is_brought_up_once_and_taken_down_for_good() {
    if people::status()
        .unwrap()
        .iter()
        .any(|up| up.service == SERVICE)
    {
        eprintln!("skipped: {SERVICE} is up and may be in use");
        return;
    }
    let record = people::up(SERVICE).unwrap();
    assert_eq!(record, people::up(SERVICE).unwrap());
    assert!(people::status().unwrap().contains(&record));
    let first = &record.endpoints[0].value;
    let address = first.split(',').next().unwrap().parse().unwrap();
    command(address, &["PING"]).unwrap();
    assert!(people::down(SERVICE).unwrap());
    assert!(command(address, &["PING"]).is_err());
    assert!(!record.is_alive());
    assert!(!people::down(SERVICE).unwrap());
}
