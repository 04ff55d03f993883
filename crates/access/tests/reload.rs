//! The password file changes while the registry runs.

mod desk;

use std::fs;

use access::{Htpasswd, Rejected};
use desk::{BUSY_BEE, Desk, line};

#[tokio::test]
async fn a_user_added_in_place_logs_in_without_a_restart() {
    let desk = Desk::open(BUSY_BEE);
    assert_eq!(desk.login("ann", "apple").await, Err(Rejected::Wrong));
    desk.write(BUSY_BEE.to_owned() + &line("ann", "apple"));
    assert!(desk.login("ann", "apple").await.is_ok());
    assert!(desk.login("busy", "bee").await.is_ok());
}

#[tokio::test]
async fn a_file_put_in_its_place_counts_at_once() {
    let desk = Desk::open([line("ann", "apple"), line("bob", "banana")].concat());
    desk.login("bob", "banana").await.unwrap();
    desk.replace([line("ann", "apple"), line("cat", "cherry")].concat());
    assert_eq!(desk.login("bob", "banana").await, Err(Rejected::Wrong));
    assert!(desk.login("cat", "cherry").await.is_ok());
}

#[tokio::test]
async fn a_changed_password_is_forgotten_at_once() {
    let desk = Desk::open([line("ann", "old"), line("bob", "banana")].concat());
    desk.login("ann", "old").await.unwrap();
    desk.replace([line("ann", "new"), line("bob", "banana")].concat());
    assert_eq!(desk.login("ann", "old").await, Err(Rejected::Wrong));
    assert!(desk.login("ann", "new").await.is_ok());
}

#[tokio::test]
async fn those_whose_password_stays_are_not_compared_again() {
    let ann = line("ann", "apple");
    let desk = Desk::open(&ann);
    desk.login("ann", "apple").await.unwrap();
    desk.replace(line("bob", "banana") + &ann);
    desk.login("ann", "apple").await.unwrap();
    assert_eq!(desk.bcrypts(), 1);
}

#[tokio::test]
async fn an_edit_of_the_same_size_in_the_same_tick_is_seen() {
    let texts = ["one", "two"].map(|password| (password, line("ann", password)));
    let desk = Desk::open_fresh(&texts[0].1);
    for round in 0..50 {
        let (now, before) = (&texts[round % 2], &texts[(round + 1) % 2]);
        desk.write(&now.1);
        assert!(desk.login("ann", now.0).await.is_ok(), "round {round}");
        assert_eq!(
            desk.login("ann", before.0).await,
            Err(Rejected::Wrong),
            "round {round}"
        );
    }
}

#[tokio::test]
async fn an_edit_that_keeps_the_time_of_modification_is_seen() {
    let texts = ["one", "two"].map(|password| line("ann", password));
    let desk = Desk::open(&texts[0]);
    desk.login("ann", "one").await.unwrap();
    let modified = fs::metadata(&desk.file).unwrap().modified().unwrap();
    desk.replace(&texts[1]);
    fs::File::options()
        .write(true)
        .open(&desk.file)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert!(desk.login("ann", "two").await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_away_for_a_while_locks_nobody_out() {
    let desk = Desk::open(line("ann", "apple"));
    fs::remove_file(&desk.file).unwrap();
    assert!(desk.login("ann", "apple").await.is_ok());
    assert_eq!(desk.login("bob", "banana").await, Err(Rejected::Wrong));
    desk.write(line("bob", "banana"));
    assert!(desk.login("bob", "banana").await.is_ok());
    assert_eq!(desk.login("ann", "apple").await, Err(Rejected::Wrong));
}

#[tokio::test]
async fn a_directory_or_a_huge_file_in_its_place_locks_nobody_out() {
    let desk = Desk::open(line("ann", "apple"));
    fs::remove_file(&desk.file).unwrap();
    fs::create_dir(&desk.file).unwrap();
    assert!(desk.login("ann", "apple").await.is_ok());
    fs::remove_dir(&desk.file).unwrap();
    fs::File::create(&desk.file)
        .unwrap()
        .set_len(Htpasswd::FILE_BYTES_MAX + 1)
        .unwrap();
    assert!(desk.login("ann", "apple").await.is_ok());
    desk.write(line("bob", "banana"));
    assert!(desk.login("bob", "banana").await.is_ok());
}

#[tokio::test]
async fn the_moment_in_which_the_tool_rewrites_the_file_locks_nobody_out() {
    let desk = Desk::open_fresh(line("ann", "apple"));
    desk.write("");
    assert!(desk.login("ann", "apple").await.is_ok());
    desk.pass(10); // it was no moment: the file is meant to be empty
    assert_eq!(desk.login("ann", "apple").await, Err(Rejected::Wrong));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_logins_around_an_edit_all_see_it() {
    let desk = std::sync::Arc::new(Desk::open(line("ann", "apple")));
    desk.replace(line("bob", "banana"));
    let logins: Vec<_> = (0..64)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.login("bob", "banana").await })
        })
        .collect();
    for login in logins {
        assert!(login.await.unwrap().is_ok());
    }
    assert_eq!(desk.bcrypts(), 1);
}
