//! Whatever was recorded, and however its clients come and go together: each gets a recorded
//! answer of its own script, and none is given twice.

use std::collections::HashMap;

use proptest::prelude::*;

use super::script::{Live, conversation, conversations, part, strict};
use crate::replay::call::{Conversation, Next};
use crate::replay::choose::AfterLast;

/// A server that answers by what it was told, so that equal beginnings have equal answers: what it
/// says after each message, and how late, counted in messages.
#[derive(Clone, Debug)]
struct Server {
    says: Vec<usize>,
    delays: Vec<usize>,
    /// Nothing is said before so many messages have come.
    head_after: usize,
}

fn server() -> impl Strategy<Value = Server> {
    let says = prop::collection::vec(0..3usize, 8);
    let delays = prop::collection::vec(0..3usize, 8);
    (says, delays, 0..3usize).prop_map(|(says, delays, head_after)| Server {
        says,
        delays,
        head_after,
    })
}

/// A number for what a client said so far.
fn number(said: &[char]) -> usize {
    said.iter().fold(said.len(), |sum, c| sum * 3 + *c as usize)
}

impl Server {
    /// The script of a call: what comes after the request's end is of this occurrence alone.
    fn call(&self, said: &str, occurrence: usize) -> String {
        let said: Vec<char> = said.chars().collect();
        let delay = self.delays[number(&said) % self.delays.len()];
        let end = said.len() + 1;
        // By the count of messages after which it comes.
        let mut after: Vec<Vec<String>> = vec![Vec::new(); end + 1];
        for came in 0..=said.len() {
            let due = &mut after[(came + delay).max(self.head_after).min(end)];
            if came == 0 {
                due.push("<*".into());
            }
            let before: String = said[..came].iter().collect();
            let says = self.says[number(&said[..came]) % self.says.len()];
            due.extend((0..says).map(|n| format!("<{before}-{n}")));
        }
        after[end].push(format!("<occurrence{occurrence}"));
        after[end].push("<.".into());
        let mut words = after[0].clone();
        for (n, c) in said.iter().enumerate() {
            words.push(format!(">{c}"));
            words.extend(after[n + 1].clone());
        }
        words.push(">|".into());
        words.extend(after[end].clone());
        words.join(" ")
    }
}

/// A client that does what a recorded one did, each step when it has got all that that one had.
struct Client<'s> {
    live: Live<'s>,
    said: String,
    to_do: Vec<String>,
    done: usize,
    got: Vec<String>,
    /// It lets the moment pass that it is given to say more.
    waits: bool,
}

impl Client<'_> {
    fn answer_words(&self) -> usize {
        self.to_do[..self.done].iter().filter(|word| word.starts_with('<')).count()
    }

    fn is_done(&self) -> bool {
        self.done == self.to_do.len()
    }

    /// Takes the next step. What its recording had sent by now is due, whoever else is under way.
    fn step(&mut self) -> Result<(), TestCaseError> {
        match self.to_do[self.done].as_str() {
            ">|" => prop_assert!(self.live.call.request_ended(), "{}", self.told()),
            word if word.starts_with('>') => {
                let print = self.live.print(&word[1..]);
                prop_assert!(self.live.call.message_received(print), "{}", self.told());
            }
            _ => {
                while self.got.len() <= self.answer_words() {
                    let next = match self.live.call.proceed() {
                        // It has nothing to say before it got this.
                        Next::Choose(_) if self.waits => self.live.call.choose(),
                        next => next,
                    };
                    match next {
                        Next::Send(due) => self.got.push(part(&due.part)),
                        other => prop_assert!(false, "{}: {other:?}", self.told()),
                    }
                }
            }
        }
        self.done += 1;
        Ok(())
    }

    fn told(&self) -> String {
        format!("{:?} at {} got {:?}", self.to_do, self.done, self.got)
    }
}

/// What clients say, in what order they are recorded and replayed, and who takes a step when.
#[derive(Clone, Debug)]
struct Plan {
    server: Server,
    said: Vec<String>,
    order: Vec<usize>,
    steps: Vec<usize>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let said = prop::collection::vec("[ab]{0,3}", 1..8);
    let order = Just((0..8usize).collect::<Vec<_>>()).prop_shuffle();
    let steps = prop::collection::vec(0..64usize, 60);
    (server(), said, order, steps).prop_map(|(server, said, order, steps)| Plan {
        server,
        said,
        order,
        steps,
    })
}

impl Plan {
    fn scripts(&self) -> Vec<String> {
        self.said.iter().enumerate().map(|(n, said)| self.server.call(said, n)).collect()
    }

    /// Lets all clients do what they have to, and says what each got.
    fn play<'s>(
        &self,
        scripts: &[String],
        live: impl Iterator<Item = Live<'s>>,
    ) -> Result<(), TestCaseError> {
        let in_order = self.order.iter().filter_map(|n| Some((self.said.get(*n)?, &scripts[*n])));
        let mut clients: Vec<Client<'_>> = in_order
            .zip(live)
            .map(|((said, script), live)| Client {
                live,
                said: said.clone(),
                to_do: script.split_whitespace().map(str::to_owned).collect(),
                done: 0,
                got: Vec::new(),
                waits: false,
            })
            .collect();
        let mut steps = self.steps.iter();
        loop {
            let open: Vec<usize> = (0..clients.len()).filter(|n| !clients[*n].is_done()).collect();
            if open.is_empty() {
                break;
            }
            let nth = steps.next().map_or(0, |step| step % open.len());
            clients[open[nth]].step()?;
        }
        let mut left: HashMap<(String, Vec<String>), usize> = HashMap::new();
        for (said, script) in self.said.iter().zip(scripts) {
            let answer = script.split_whitespace().filter(|word| word.starts_with('<'));
            *left.entry((said.clone(), answer.map(str::to_owned).collect())).or_default() += 1;
        }
        for client in &clients {
            let given = left.get_mut(&(client.said.clone(), client.got.clone()));
            prop_assert!(given.is_some(), "{} is no answer", client.told());
            let given = given.unwrap();
            prop_assert!(*given > 0, "{} was given twice", client.told());
            *given -= 1;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn every_client_gets_a_recorded_answer_of_its_own_script_and_none_is_given_twice(
        plan in plan(),
    ) {
        let scripts = plan.scripts();
        let session = strict(&scripts.iter().map(String::as_str).collect::<Vec<_>>());
        plan.play(&scripts, plan.said.iter().map(|_| Live::new(&session)))?;
        prop_assert_eq!(session.unused_count(), 0);
    }

    #[test]
    fn every_conversation_is_a_recorded_one_and_none_is_given_twice(plan in plan()) {
        // Wherever its head stands, a handshake is answered before a word is said.
        let scripts = plan.scripts();
        let session = conversations(
            &scripts.iter().map(String::as_str).collect::<Vec<_>>(),
            AfterLast::Refuse,
        );
        let mut open: Vec<Conversation> =
            plan.said.iter().map(|_| conversation(&session)).collect();
        let live = open.iter_mut().map(|open| Live::on(&session, open.resume()));
        plan.play(&scripts, live)?;
        drop(open);
        prop_assert_eq!((session.hits(), session.misses()), (plan.said.len() as u64, 0));
        prop_assert_eq!(session.unused_count(), 0);
    }
    #[test]
    fn in_the_recorded_order_each_gets_its_own_wherever_clients_were_lost(
        plan in plan(),
        kept in prop::collection::vec(1..12usize, 8),
    ) {
        let lost = |(script, kept): (String, &usize)| {
            let behind_head = script.split_whitespace().filter(|word| *word != "<*");
            let words: Vec<&str> = std::iter::once("<*").chain(behind_head).collect();
            match words.get(..*kept) {
                Some(begun) if *kept < words.len() => format!("{} <?", begun.join(" ")),
                _ => words.join(" "),
            }
        };
        let scripts: Vec<String> = plan.scripts().into_iter().zip(&kept).map(lost).collect();
        let session = conversations(
            &scripts.iter().map(String::as_str).collect::<Vec<_>>(),
            AfterLast::Refuse,
        );
        for script in &scripts {
            let mut open = conversation(&session);
            let to_do: Vec<String> =
                script.split_whitespace().filter(|word| *word != "<?").map(str::to_owned).collect();
            let mut client = Client {
                live: Live::on(&session, open.resume()),
                said: String::new(),
                to_do,
                done: 0,
                got: Vec::new(),
                waits: true,
            };
            while !client.is_done() {
                client.step()?;
            }
            let answer = client.to_do.iter().filter(|word| word.starts_with('<'));
            prop_assert_eq!(answer.collect::<Vec<_>>(), client.got.iter().collect::<Vec<_>>());
        }
    }
}
